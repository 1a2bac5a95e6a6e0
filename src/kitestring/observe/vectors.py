"""All vectors of a live collection, read once: from its segment files, or over the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.store.connect import open_segment_store
from kitestring.errors import KitestringError
from kitestring.model.collection import CollectionInfo
from kitestring.segments.plan import FLUSHED, plan_live, read_parts
from kitestring.spec.loaded import LoadedSpec


@dataclass(frozen=True, slots=True)
class Source:
    """A way to read all rows; each call of `read` begins anew."""

    path: str  # segments or api
    read: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]


def sources(loaded: LoadedSpec, milvus: Milvus, info: CollectionInfo) -> Iterator[Source]:
    """The ways to read a collection, the cheapest first.

    The files hold what was flushed: they are no source while rows grow. Whoever reads compares
    the number of rows with `count(*)`, and takes the next source where they differ.
    """
    files = None
    if loaded.spec.storage is not None and not _growing(milvus, info.name):
        files = _from_files(loaded, milvus, info)
    if files is not None:
        yield files
    yield Source("api", lambda columns: milvus.scan(info.name, columns))


def _growing(milvus: Milvus, name: str) -> bool:
    return any(s.state != "Sealed" and s.rows for s in milvus.loaded_segments(name)) or any(
        s.state != FLUSHED and s.rows for s in milvus.segments(name)
    )


def _from_files(loaded: LoadedSpec, milvus: Milvus, info: CollectionInfo) -> Source | None:
    """None where the store can't be reached, or its files are not understood."""
    try:
        store, root = open_segment_store(loaded)
        parts = plan_live(store, root, info, milvus.segments(info.name))
    except KitestringError:
        return None
    return Source("segments", lambda columns: read_parts(store, parts, columns))
