"""Which physical collection and which model serve a name: values of the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

REGISTRY_VERSION = 1


@dataclass(frozen=True, slots=True)
class Served:
    """A physical collection and the one model of its vectors. The pair never changes."""

    collection: str
    model: str  # name@version
    dimension: int
    vector: str  # the field that is searched
    params: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """Physical collections that hold the same rows by different models, and which one serves."""

    members: tuple[str, ...]
    aliases: tuple[str, ...]
    live: str
    switching: bool = False  # aliases are on their way to or from `live`


@dataclass(frozen=True, slots=True)
class Registry:
    """What re-embeddings left behind: none, where there never was one."""

    cluster: str = ""
    collections: Mapping[str, Served] = field(default_factory=dict)
    families: tuple[Family, ...] = ()
    schema_version: int = REGISTRY_VERSION

    def family_of(self, name: str) -> Family | None:
        """The family that has `name` as a member or an alias."""
        return next((f for f in self.families if name in f.members or name in f.aliases), None)

    def with_family(self, family: Family, *served: Served) -> Registry:
        """The registry with a family in place of those that share a member with it."""
        others = (f for f in self.families if not set(f.members) & set(family.members))
        known = {**self.collections, **{s.collection: s for s in served}}
        return replace(self, collections=known, families=(*others, family))

    def without_member(self, name: str) -> Registry:
        """The registry without a collection. A family of one is none: the spec says it all."""
        left = (replace(f, members=tuple(m for m in f.members if m != name)) for f in self.families)
        families = tuple(family for family in left if len(family.members) > 1)
        # what is in none may be made anew, by another model
        members = {member for family in families for member in family.members}
        known = {k: v for k, v in self.collections.items() if k in members}
        return replace(self, collections=known, families=families)
