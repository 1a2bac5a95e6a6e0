"""Reads all rows of a collection, columns on demand: segment files first, else the API."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

import pyarrow as pa

from kitestring.clients.milvus.filters import among, every, within
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.store.connect import open_segment_store
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import (
    LocalNotRunning,
    MilvusError,
    ObjectMissing,
    SegmentUnreadable,
    ServerUnreachable,
    StoreError,
)
from kitestring.model.collection import CollectionInfo
from kitestring.segments.deltas import DeltaLogs
from kitestring.segments.plan import Part, plan_live, read_part
from kitestring.spec.loaded import LoadedSpec

SEGMENTS, API = "segments", "api"
Take = Callable[[pa.RecordBatch, str], None]
_PAGE = 1024  # rows of an answer: 32 MiB of the longest texts
_TTL = "collection.ttl.seconds"


def every_row(
    loaded: LoadedSpec,
    milvus: Milvus,
    name: str,
    columns: Sequence[str],
    start: Callable[[], None],
) -> Generator[tuple[pa.RecordBatch, str], None, tuple[str, str]]:
    """Every row in batches, each with its partition; that is empty where the server places rows
    by a key.

    Rows that were acknowledged before the call are among them, later ones may be. `start` is
    called before the first batch, and again where the API has to begin anew after files that
    could not be read.

    Returns:
        `segments` or `api`, and why it is the API.

    Raises:
        MilvusError: the server could not be read.
    """
    info = milvus.describe(name)
    try:
        store, parts = _planned(loaded, milvus, info)
        start()
        names = _partitions(info)
        deltas = DeltaLogs(store)
        for part in parts:
            partition = names.get(part.partition_id, "")
            for batch in read_part(store, part, list(columns), deltas=deltas):
                if batch.num_rows:
                    yield batch, partition
    except (SegmentUnreadable, ObjectMissing, StoreError, LocalNotRunning) as error:
        why = error.message
    else:
        return SEGMENTS, ""
    start()
    yield from _pages(milvus, info, columns)
    return API, why


def read_rows(
    loaded: LoadedSpec,
    milvus: Milvus,
    name: str,
    columns: Sequence[str],
    start: Callable[[], None],
    take: Take,
) -> tuple[str, str]:
    """Gives what `every_row` reads to `take(batch, partition)`."""
    rows = every_row(loaded, milvus, name, columns, start)
    while True:
        try:
            batch, partition = next(rows)
        except StopIteration as end:
            how: tuple[str, str] = end.value
            return how
        take(batch, partition)


def by_keys(
    milvus: Milvus, info: CollectionInfo, columns: Sequence[str], keys: Sequence[str | int]
) -> Iterator[tuple[pa.RecordBatch, str]]:
    """The rows of some keys as they are now, by partition, over the API."""
    if not keys:
        return
    for partition in _asked(info):
        batch = milvus.columnar.page(
            info.name,
            info.schema,
            list(columns),
            among(info.schema.primary.name, keys),
            partition=partition,
        )
        if batch.num_rows:
            yield batch, partition


def _planned(
    loaded: LoadedSpec, milvus: Milvus, info: CollectionInfo
) -> tuple[ObjectStore, tuple[Part, ...]]:
    if int(info.properties.get(_TTL, "0") or 0) > 0:
        raise SegmentUnreadable(f"`{info.name}` has a time to live, which files do not show")
    store, root = open_segment_store(loaded)
    try:
        flushed = milvus.flush_through([info.name])
    except ServerUnreachable:
        raise
    except MilvusError as error:
        raise SegmentUnreadable(f"the server does not flush: {error.message}") from None
    parts = plan_live(store, root, info, milvus.segments(info.name), until=flushed.until << 18)
    return store, parts


def _pages(
    milvus: Milvus, info: CollectionInfo, columns: Sequence[str]
) -> Iterator[tuple[pa.RecordBatch, str]]:
    key = info.schema.primary
    for partition in _asked(info):
        expression = every(key.name, text=key.type != "INT64")
        while True:
            batch = milvus.columnar.page(
                info.name, info.schema, list(columns), expression,
                partition=partition, limit=_PAGE,
            )  # fmt: skip
            if not batch.num_rows:
                break
            yield batch, partition
            last = batch.column(key.name)[batch.num_rows - 1].as_py()
            expression = within(key.name, last, None)


def _by_key(info: CollectionInfo) -> bool:
    return any(f.partition_key for f in info.schema.fields)


def _asked(info: CollectionInfo) -> list[str]:
    """Partitions that are asked one by one; the server places rows by a key itself."""
    return [""] if _by_key(info) else [p.name for p in info.partitions]


def _partitions(info: CollectionInfo) -> dict[int, str]:
    return {} if _by_key(info) else {p.id: p.name for p in info.partitions}
