"""A server in memory, as far as enforcement talks to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from kitestring.errors import MilvusError
from kitestring.model.collection import (
    CollectionInfo,
    Index,
    IndexState,
    LoadedSegment,
    Schema,
    Segment,
)


@dataclass
class MemoryMilvus:
    """Keeps definitions, and notes every call that changes something in `calls`."""

    infos: dict[str, CollectionInfo] = field(default_factory=dict)
    alias_of: dict[str, str] = field(default_factory=dict)
    disk: list[Segment] = field(default_factory=list)
    rows: int = 0
    compacts_to: list[Segment] | None = None  # None: a compaction changes nothing
    refused_types: tuple[str, ...] = ()
    nodes: int = 1
    calls: list[str] = field(default_factory=list)
    uri: str = "memory"

    def has_collection(self, name: str) -> bool:
        return name in self.infos

    def describe(self, name: str) -> CollectionInfo:
        return self.infos[name]

    def segments(self, name: str) -> list[Segment]:
        return list(self.disk)

    def loaded_segments(self, name: str) -> list[LoadedSegment]:
        return []

    def count(self, name: str) -> int:
        return self.rows

    def alias_owner(self, alias: str) -> str | None:
        return self.alias_of.get(alias)

    def create_collection(self, name: str, schema: Schema, **_: object) -> None:
        self.calls.append(f"create {name}")
        self.infos[name] = CollectionInfo(
            name, 1, schema, 1, (), "Bounded", {}, (), (), "NotLoad", 0
        )

    def create_index(self, name: str, index: Index, *, wait: bool = False) -> None:
        self.calls.append(f"index {name} {index.type}")
        if index.type in self.refused_types:
            raise MilvusError("no such index")
        state = IndexState(index, 0, 0, 0, "Finished")
        self._change(name, indexes=(*self.infos[name].indexes, state))

    def drop_index(self, name: str, index_name: str) -> None:
        self.calls.append(f"drop index {name}")
        left = tuple(i for i in self.infos[name].indexes if i.index.name != index_name)
        self._change(name, indexes=left)

    def load(
        self, name: str, *, replicas: int = 1, groups: Sequence[str] = (), wait: bool = True
    ) -> None:
        self.calls.append(f"load {name} {replicas}")
        if replicas > self.nodes:
            raise MilvusError("not enough query nodes")
        self._change(name, load_state="Loaded", replicas=replicas)

    def release(self, name: str) -> None:
        self.calls.append(f"release {name}")
        self._change(name, load_state="NotLoad", replicas=0)

    def create_alias(self, name: str, alias: str) -> None:
        self.calls.append(f"alias {alias} {name}")
        self.alias_of[alias] = name

    def move_alias(self, name: str, alias: str) -> None:
        self.calls.append(f"move {alias} {name}")
        self.alias_of[alias] = name

    def flush(self, name: str) -> None:
        pass

    def compact(self, name: str) -> int:
        self.calls.append(f"compact {name}")
        if self.compacts_to is not None:
            self.disk = self.compacts_to
        return 1

    def compaction_done(self, compaction: int) -> bool:
        return True

    def _change(self, name: str, **fields: object) -> None:
        self.infos[name] = replace(self.infos[name], **fields)


@pytest.fixture
def memory() -> Callable[..., MemoryMilvus]:
    return MemoryMilvus
