"""Brings rows in by the server's bulk import: as segment files, which a server of 2.3 reads.

Its import takes JSON, NumPy files and segment files. NumPy files know no arrays and no JSON of
several forms, JSON is slow; segment files are what it writes itself, and they keep the keys of
collections that make them. Later servers import Parquet and other segment files: there rows are
inserted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from kitestring.backup import staging
from kitestring.backup.interrupts import shielded
from kitestring.backup.logical.rows import read_part
from kitestring.backup.logical.source import in_threads
from kitestring.backup.pool import PoolReader
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.milvus.waiting import wait_until
from kitestring.clients.store.protocol import ObjectStore, join
from kitestring.errors import KitestringError, MilvusError
from kitestring.model.backup import CollectionBackup, RowsBackup
from kitestring.model.collection import CollectionInfo, Field, Schema
from kitestring.segments.columns import ROW_ID_FIELD, TIMESTAMP_FIELD, dynamic_field
from kitestring.segments.write import insert_log

TASK = 256 * 1024 * 1024  # bytes of one import, about
THREADS = 2
_TIMEOUT = 3600.0  # seconds without one import getting done
_AT = 1 << 18  # timestamp of every row: the server gives its own


@dataclass(slots=True)
class _Task:
    """One import: files of one partition."""

    number: int
    partition: str
    parts: list[RowsBackup] = field(default_factory=list)
    bytes: int = 0


def can_import(milvus: Milvus, schema: Schema) -> bool:
    """Whether the server is known to import what is written here."""
    version = milvus.version().removeprefix("v")
    return version.startswith("2.3.") and not any(f.partition_key for f in schema.fields)


def import_parts(
    pool: ObjectStore,
    backup: CollectionBackup,
    milvus: Milvus,
    store: ObjectStore,
    root: str,
    name: str,
    *,
    tell: Callable[[str], None],
) -> int:
    """Imports the rows of a collection of a logical backup into the collection `name`, which is
    empty; returns how many rows. Staged files are removed in any case.

    Raises:
        MilvusError: an import failed.
        BackupDamaged, StoreError.
    """
    info = milvus.describe(name)
    folder = staging.new_folder(root, name)
    rows = 0
    staged: list[str] = []
    running: dict[int, int] = {}  # task of the server -> rows
    try:
        staging.claim(store, folder)

        def stage(task: _Task) -> tuple[_Task, int]:
            return task, _stage(pool, backup, task, store, folder, info, staged)

        for task, count in in_threads(stage, _tasks(backup), lambda: None, threads=THREADS):
            # two prefixes are what tells segment files from others; there are no deletes
            paths = [
                store.server_path(join(folder, str(task.number), kind))
                for kind in ("insert_log/1", "delta_log/1")  # of the segment 1
            ]
            running[milvus.start_import(name, task.partition, paths)] = count
            rows += count
            tell(f"{backup.name}: {rows:,} of {backup.digest.rows:,} rows are staged")
        _await(milvus, name, running)
    finally:
        with shielded():
            for key in (*staged, join(folder, staging.OWNER)):
                with suppress(KitestringError):
                    store.delete(key)
    return rows


def _tasks(backup: CollectionBackup) -> Iterator[_Task]:
    number = 0
    task: _Task | None = None
    for part in sorted(backup.parts, key=lambda p: p.partition):
        if task is not None and (task.partition != part.partition or task.bytes >= TASK):
            yield task
            task = None
        if task is None:
            task, number = _Task(number, part.partition), number + 1
        task.parts.append(part)
        task.bytes += part.object.size
    if task is not None:
        yield task


def _stage(
    pool: ObjectStore,
    backup: CollectionBackup,
    task: _Task,
    store: ObjectStore,
    folder: str,
    info: CollectionInfo,
    staged: list[str],
) -> int:
    """Writes the files of one import; returns how many rows they hold."""
    fields = _fields(backup.schema, info.schema)
    prefix = join(folder, str(task.number), "insert_log/1")
    log = rows = 0
    for part in task.parts:
        reader = PoolReader(pool, part.objects)
        for batch in read_part(reader, backup.schema, part):
            if not batch.num_rows:
                continue
            columns: list[tuple[Field, pa.Array]] = [
                (_SYSTEM[0], pa.array(np.arange(rows + 1, rows + 1 + batch.num_rows))),
                (_SYSTEM[1], pa.array(np.full(batch.num_rows, _AT))),
                *((f, batch.column(f.name)) for f in fields),
            ]
            for one, values in columns:
                key = join(prefix, f"{one.field_id}/{log + 1:018d}")
                staged.append(key)
                store.put(key, insert_log(values, one, (info.id, 1, 1), _AT))
            log += 1
            rows += batch.num_rows
    return rows


_SYSTEM = (
    Field("<row id>", "INT64", field_id=ROW_ID_FIELD),
    Field("<timestamp>", "INT64", field_id=TIMESTAMP_FIELD),
)


def _fields(backed_up: Schema, there: Schema) -> Sequence[Field]:
    """The fields with the ids that they have in the collection."""
    found = []
    for one in backed_up.fields:
        match = there.field(one.name)
        if match is None or match.field_id is None:
            raise MilvusError(f"the collection has no field `{one.name}`", subject=one.name)
        found.append(match)
    if backed_up.dynamic:
        last = max(f.field_id or 0 for f in there.fields)
        found.append(dynamic_field(last + 1))
    return found


def _await(milvus: Milvus, name: str, running: dict[int, int]) -> None:
    def done() -> bool:
        for task in list(running):
            state = milvus.import_state(task)
            if state.failed:
                raise MilvusError(
                    f"the server could not import rows into `{name}`: {state.reason}", subject=name
                )
            if state.done:
                del running[task]
        return not running

    if running:
        wait_until(done, timeout=_TIMEOUT, what=f"the import into `{name}`", longest=0.5)
