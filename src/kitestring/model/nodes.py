"""The query nodes, as their metrics tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class QueryNode:
    """One query node. `memory` is resident, in bytes; of a standalone server, all of it."""

    id: int
    memory: int | None = None
    segments: int = 0
    rows: Mapping[int, int] = field(default_factory=dict)  # collection id -> rows


@dataclass(frozen=True, slots=True)
class NodesSeen:
    """`reason` says why they, or some of them, could not be read."""

    nodes: tuple[QueryNode, ...] = ()
    source: str = ""  # where the metrics were read
    reason: str = ""
