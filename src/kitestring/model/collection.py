"""What a Milvus collection is, as values: schema, indexes, segments, load state."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NO_PARAMS: Mapping[str, str] = {}


DEFAULT_GROUP = "__default_resource_group"  # the server's: query nodes of no other group


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a schema. `type` is Milvus's name of it: VARCHAR, INT64, FLOAT_VECTOR, …"""

    name: str
    type: str
    primary: bool = False
    auto_id: bool = False
    partition_key: bool = False
    nullable: bool = False
    max_length: int | None = None
    dim: int | None = None
    max_capacity: int | None = None
    element_type: str | None = None
    field_id: int | None = None
    description: str = ""
    default: bool | int | float | str | None = None  # of rows that came before the field, too

    @property
    def is_vector(self) -> bool:
        return self.type.endswith("_VECTOR")

    @property
    def addable(self) -> bool:
        """Whether a collection that has rows can be given it, where the server can at all: the rows
        that are there have no value of it. (Milvus 2.6, "Add Fields to an Existing Collection".)"""
        return self.nullable and not (self.primary or self.partition_key or self.is_vector)

    def __str__(self) -> str:
        """As one line: `lang VARCHAR(16) nullable`."""
        size = self.dim or self.max_length or self.max_capacity
        return (
            f"{self.name} {self.type}"
            + (f"({size})" if size else "")
            + (" nullable" if self.nullable else "")
        )


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of a collection in their order, and whether it takes dynamic ones."""

    fields: tuple[Field, ...]
    dynamic: bool = False
    description: str = ""

    def field(self, name: str) -> Field | None:
        return next((f for f in self.fields if f.name == name), None)

    @property
    def primary(self) -> Field:
        return next(f for f in self.fields if f.primary)

    @property
    def vectors(self) -> tuple[Field, ...]:
        return tuple(f for f in self.fields if f.is_vector)


@dataclass(frozen=True, slots=True)
class Index:
    """An index as defined. Values of `params` are strings, as Milvus keeps them."""

    name: str
    field: str
    type: str
    metric: str = ""
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IndexState:
    """An index as the server has it, with its progress in rows."""

    index: Index
    total_rows: int
    indexed_rows: int
    pending_rows: int
    state: str  # Finished, InProgress, Failed, …


_LEVEL_DELETES = ("L0", "1")  # name and number of SegmentLevel.L0 (milvus-proto, common.proto)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that the server keeps in its object store."""

    id: int
    partition_id: int
    rows: int  # as written: deletes not subtracted
    state: str  # Flushed, Growing, Sealed, Flushing, …
    level: str = "Legacy"
    storage_version: int = 0

    @property
    def deletes_only(self) -> bool:
        return self.level in _LEVEL_DELETES

    @property
    def on_disk(self) -> bool:
        """Whether query nodes should have it: flushed rows, not deletes alone."""
        return self.state == "Flushed" and not self.deletes_only and self.rows > 0


@dataclass(frozen=True, slots=True)
class LoadedSegment:
    """A segment in the memory of one or more query nodes."""

    id: int
    rows: int
    state: str  # Sealed or Growing
    index_name: str
    index_id: int
    node_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Partition:
    name: str
    id: int


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What `describe` and its neighbours say of one collection at one instant."""

    name: str
    id: int
    schema: Schema
    shards: int
    partitions: tuple[Partition, ...]
    consistency: str
    properties: Mapping[str, str]
    aliases: tuple[str, ...]
    indexes: tuple[IndexState, ...]
    load_state: str  # Loaded, Loading, NotLoad
    replicas: int  # 0 when not loaded
    created_at: int = 0  # ms since the epoch
    resource_groups: tuple[str, ...] = ()  # that of each replica

    @property
    def loaded(self) -> bool:
        return self.load_state == "Loaded"

    @property
    def in_groups(self) -> bool:
        """Whether a replica is in another resource group than the default one."""
        return not set(self.resource_groups) <= {DEFAULT_GROUP}

    def groups_for(self, replicas: int) -> tuple[str, ...]:
        """Where so many replicas belong when it is loaded again: in the groups where they are."""
        if len(self.resource_groups) == replicas:
            return self.resource_groups
        return self.resource_groups if len(set(self.resource_groups)) == 1 else ()


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """Query nodes that only replicas loaded into the group use."""

    name: str
    nodes: int  # that it is to have; of the default group: that it has
    available: int  # that it has and that answer


def params_as_text(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameter values as Milvus keeps them: text, booleans in lower case."""
    return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in params.items()}
