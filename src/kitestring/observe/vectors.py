"""All vectors of a live collection, read once: from its segment files, or over the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.collection import CollectionInfo
from kitestring.segments.live import flushed_parts
from kitestring.segments.plan import read_parts
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
    found = flushed_parts(loaded, milvus, info)
    if found is not None:
        store, parts = found
        yield Source("segments", lambda columns: read_parts(store, parts, columns))
    yield Source("api", lambda columns: milvus.scan(info.name, columns))
