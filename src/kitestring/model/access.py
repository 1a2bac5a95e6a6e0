"""Users, roles and privileges inside Milvus, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Privilege:
    """One thing that a role may do: `Search` on the `Collection` called `docs` (or `*`)."""

    object: str  # Global, Collection, User
    name: str
    privilege: str

    def __str__(self) -> str:
        return f"{self.privilege} on {self.object} {self.name}"
