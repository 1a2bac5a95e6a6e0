"""A few short columns of all rows: out of the server's files where that spares it a lot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pyarrow as pa

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import KitestringError, MilvusError
from kitestring.model.collection import CollectionInfo
from kitestring.observe.reading import SMALL
from kitestring.observe.vectors import FILES, files_until, sources
from kitestring.spec.loaded import LoadedSpec

T = TypeVar("T")


def of_all_rows(
    loaded: LoadedSpec,
    milvus: Milvus,
    info: CollectionInfo,
    columns: Sequence[str],
    take: Callable[[Iterator[pa.RecordBatch]], T],
) -> tuple[T, int | None]:
    """What `take` makes of the batches of all rows, and up to when (ms since the epoch; None for
    now). `take` may be called a second time, for the API.

    The files are read where the API would take long (`SMALL`) and they hold as many rows as
    `count(*)` says.

    Raises:
        CollectionNotLoaded, MilvusError: the server could not be asked.
    """
    if milvus.count(info.name) > SMALL and (
        found := _of_files(loaded, milvus, info, columns, take)
    ):
        return found
    return take(milvus.scan(info.name, columns)), None


def _of_files(
    loaded: LoadedSpec,
    milvus: Milvus,
    info: CollectionInfo,
    columns: Sequence[str],
    take: Callable[[Iterator[pa.RecordBatch]], T],
) -> tuple[T, int | None] | None:
    """None where the files don't hold all rows, or can't be read."""
    files = files_until(loaded, milvus, info.name)
    source = next(sources(loaded, milvus, info))
    if not files.known or source.path != FILES:
        return None
    rows = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in source.read(columns):
            rows += batch.num_rows
            yield batch

    try:
        found = take(counted())
    except MilvusError:
        raise
    except KitestringError:  # of a segment file: compaction may just have removed it
        return None
    return (found, files.at) if rows == milvus.count(info.name) else None
