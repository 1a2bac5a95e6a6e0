"""Makes the collections of a backup and brings their rows in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kitestring.backup.restore.selection import by_key
from kitestring.backup.restore.stage import Staging
from kitestring.backup.restore.target import RestoreTarget
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.milvus.waiting import wait_until
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import MilvusError
from kitestring.model.backup import CollectionBackup

_IMPORT_TIMEOUT = 3600.0  # seconds without one task getting done


def create(milvus: Milvus, backup: CollectionBackup, name: str) -> None:
    """An empty collection as the manifest describes it."""
    options: dict[str, Any] = {"partitions": backup.partitions}
    if by_key(backup.schema):
        # a row's partition follows from their number: one more, and rows would not be found
        options = {"key_partitions": len(backup.partitions)}
    milvus.create_collection(
        name,
        backup.schema,
        shards=backup.shards,
        properties=backup.properties,
        consistency=backup.consistency or "Bounded",
        **options,
    )


def start_imports(
    milvus: Milvus, staging: Staging, backup: CollectionBackup, name: str, boundary: int
) -> dict[int, str]:
    """Starts the bulk imports of a physical backup; returns task -> collection."""
    return {
        milvus.start_import(name, batch.partition, staging.paths(batch), until=boundary): name
        for batch in staging.batches.get(backup.name, ())
    }


def await_imports(milvus: Milvus, tasks: Mapping[int, str]) -> None:
    """Waits until all tasks are done.

    Raises:
        MilvusError: one of them failed.
    """
    left = dict(tasks)

    def done() -> bool:
        for task, name in list(left.items()):
            state = milvus.import_state(task)
            if state.failed:
                raise MilvusError(
                    f"the server could not import a segment into `{name}`: {state.reason}",
                    hint="nothing is left of this restore",
                    subject=name,
                )
            if state.done:
                del left[task]
        return not left

    if tasks:
        wait_until(done, timeout=_IMPORT_TIMEOUT, what="the import", longest=0.5)


def restore_parquet(
    pool: ObjectStore,
    backup: CollectionBackup,
    target: RestoreTarget,
    name: str,
    tell: Callable[[str], None],
) -> int:
    """Brings the rows of a logical backup in; returns how many."""
    from kitestring.backup.logical.restore import restore_parts

    return restore_parts(pool, backup, target, name, tell=tell)
