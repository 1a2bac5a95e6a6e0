"""A connection that does not ask again for what a snapshot tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.collection import CollectionInfo, LoadedSegment, Segment
from kitestring.model.snapshot import ObservedCollection, Snapshot
from kitestring.observe.reading import API

S = TypeVar("S", bound=Milvus)


def as_seen(milvus: S, snapshot: Snapshot) -> S:
    """The connection for those who only look: collections and counts of all of their rows are as
    the snapshot has them; whatever it does not tell, the server is asked for."""
    return cast(S, _Seen(milvus, snapshot))


class _Seen:
    def __init__(self, milvus: Milvus, snapshot: Snapshot) -> None:
        self._milvus, self._snapshot = milvus, snapshot

    def __getattr__(self, name: str) -> Any:
        return getattr(self._milvus, name)

    def version(self) -> str:
        return self._snapshot.server_version

    def has_collection(self, name: str) -> bool:
        return self._found(name) is not None or self._milvus.has_collection(name)

    def describe(self, name: str) -> CollectionInfo:
        found = self._found(name)
        return found.info if found else self._milvus.describe(name)

    def segments(self, name: str) -> list[Segment]:
        found = self._found(name)
        return list(found.segments) if found else self._milvus.segments(name)

    def loaded_segments(self, name: str) -> list[LoadedSegment]:
        found = self._found(name)
        return list(found.loaded_segments) if found else self._milvus.loaded_segments(name)

    def count(
        self, name: str, *, filter: str = "", partitions: Sequence[str] = (), strong: bool = True
    ) -> int:
        found = self._found(name)
        census = found.census if found else None
        if census and census.complete and census.path == API and not (filter or partitions):
            return census.counted
        return self._milvus.count(name, filter=filter, partitions=partitions, strong=strong)

    def _found(self, name: str) -> ObservedCollection | None:
        return self._snapshot.collections.get(self._snapshot.aliases.get(name, name))
