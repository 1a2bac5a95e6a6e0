"""Users, roles and privileges inside Milvus, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Privilege:
    """One thing that a role may do: `Search` on the `Collection` called `docs` (or `*`)."""

    object: str  # Global, Collection, User
    name: str
    privilege: str

    def __str__(self) -> str:
        return f"{self.privilege} on {self.object} {self.name}"


@dataclass(frozen=True, slots=True)
class AccessSeen:
    """Who may do what on a server. `reason` says why it could not be read."""

    users: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # user -> roles
    roles: Mapping[str, frozenset[Privilege]] = field(default_factory=dict)
    elsewhere: Mapping[str, Mapping[str, frozenset[Privilege]]] = field(default_factory=dict)
    """Role -> another database than the connection's -> what it may do there."""
    reason: str = ""
