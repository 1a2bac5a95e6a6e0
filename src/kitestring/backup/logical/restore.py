"""Brings the rows of a logical backup into a collection.

By bulk import where the server is known to take what we write and its store can be reached (see
`kitestring.backup.logical.bulk`). Elsewhere they are inserted, by column and several requests at a
time, which works on every server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from kitestring.backup.logical.bulk import can_import, import_parts
from kitestring.backup.logical.rows import read_part
from kitestring.backup.logical.source import in_threads
from kitestring.backup.pool import PoolReader
from kitestring.clients.milvus.protocol import MilvusColumnar
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import MilvusError, RestoreIncomplete, RestoreRefused
from kitestring.model.backup import CollectionBackup

if TYPE_CHECKING:
    from kitestring.backup.restore.target import RestoreTarget

BATCH = 8 * 1024 * 1024  # bytes of a request, about
THREADS = 4
_MOST = 20_000  # rows of a request
_PATIENCE = 600.0  # seconds that a server may turn a request away for
_BUSY = ("rate limit", "quota", "memory", "too many requests", "not enough", "backpressure")


def restore_parts(
    pool: ObjectStore,
    backup: CollectionBackup,
    target: RestoreTarget,
    name: str,
    *,
    tell: Callable[[str], None],
) -> int:
    """Brings the rows of a collection of a logical backup into the collection `name`, which has
    to be there, with its partitions, and empty. Flushes it; returns how many rows.

    Raises:
        RestoreRefused: the collection makes its keys itself.
        RestoreIncomplete: the server did not take all rows.
        BackupDamaged: a file is missing or changed.
        MilvusError.
    """
    milvus, total = target.milvus, backup.digest.rows
    if target.store is not None and can_import(milvus, backup.schema):
        done = import_parts(pool, backup, milvus, target.store, target.root, name, tell=tell)
        _check(name, done, total)
        return done
    if backup.schema.primary.auto_id:
        raise RestoreRefused(
            f"`{name}` makes its keys itself (auto_id): rows that are inserted would get others",
            hint="restore a physical backup, or create the collection without auto_id",
            subject=name,
        )
    columnar, done = milvus.columnar, 0
    told = time.monotonic()

    def insert(batch: tuple[str, pa.RecordBatch]) -> int:
        return _insert(columnar, backup, name, *batch)

    for rows in in_threads(insert, _batches(pool, backup), lambda: None, threads=THREADS):
        done += rows
        if time.monotonic() - told > 5.0:
            told = time.monotonic()
            tell(f"{backup.name}: {done:,} of {total:,} rows")
    _check(name, done, total)
    milvus.flush(name)
    return done


def _check(name: str, done: int, total: int) -> None:
    if done != total:
        raise RestoreIncomplete(
            f"the server took {done:,} rows of `{name}`, not {total:,}", subject=name
        )


def _batches(pool: ObjectStore, backup: CollectionBackup) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Partition and rows of each request."""
    by_key = any(f.partition_key for f in backup.schema.fields)
    for part in backup.parts:
        reader = PoolReader(pool, part.objects)
        for group in read_part(reader, backup.schema, part):
            if not group.num_rows:
                continue
            step = max(1, min(_MOST, BATCH * group.num_rows // max(1, group.nbytes)))
            for at in range(0, group.num_rows, step):
                yield "" if by_key else part.partition, group.slice(at, step)


def _insert(
    columnar: MilvusColumnar,
    backup: CollectionBackup,
    name: str,
    partition: str,
    batch: pa.RecordBatch,
) -> int:
    """One request; while the server turns it away for being too busy, again and again."""
    pause, until = 0.5, time.monotonic() + _PATIENCE
    while True:
        try:
            return columnar.insert(name, backup.schema, batch, partition=partition)
        except MilvusError as error:
            # anything else may have been written: to send it again would make rows twice
            busy = any(word in error.message.lower() for word in _BUSY)
            if not busy or time.monotonic() > until:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 10.0)
