"""All vectors of a live collection, read once: from its segment files, or over the API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.collection import CollectionInfo
from kitestring.segments.live import flushed_parts
from kitestring.segments.plan import Part, read_parts
from kitestring.spec.loaded import LoadedSpec

FILES = "segments"


@dataclass(frozen=True, slots=True)
class Until:
    """Whether the server says up to when its files hold every write, and when that is: ms since
    the epoch, None for now. Where it does not say, files prove nothing."""

    known: bool
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A way to read all rows; each call of `read` begins anew."""

    path: str  # FILES or api
    read: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
    parts: tuple[Part, ...] = ()  # of the files, to be read wherever


def sources(loaded: LoadedSpec, milvus: Milvus, info: CollectionInfo) -> Iterator[Source]:
    """The ways to read a collection, the cheapest first.

    The files hold what was flushed: they are no source while rows grow. Whoever reads compares
    the number of rows with `count(*)`, takes the next source where they differ, and says up to
    when the files go (`files_until`).
    """
    found = flushed_parts(loaded, milvus, info)
    if found is not None:
        store, parts = found
        yield Source(FILES, lambda columns: read_parts(store, parts, columns), parts)
    yield Source("api", lambda columns: milvus.scan(info.name, columns))


def files_until(loaded: LoadedSpec, milvus: Milvus, name: str) -> Until:
    """Up to when the files hold every write; to be asked before `sources`.

    That nothing grows is no proof for the last seconds: a coordinator hears of growing rows a
    moment later, and a row that was replaced leaves `count(*)` as it was.
    """
    if loaded.spec.storage is None:
        return Until(False)
    now = int(time.time() * 1000)
    found = milvus.flushed_until(name, now)
    return Until(found is not None, None if found == now else found)
