"""A Milvus in memory, for tests: definitions, load state, users and privileges as a server of 2.3
treats them; rows are numbers. It answers no search."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kitestring.errors import AuthenticationFailed, CollectionNotFound, MilvusError
from kitestring.model.access import Privilege
from kitestring.model.collection import (
    DEFAULT_GROUP,
    CollectionInfo,
    Field,
    Index,
    IndexState,
    Partition,
    ResourceGroup,
    Schema,
    Segment,
)


@dataclass
class MemoryCluster:
    """What a server knows. `calls` are the changes that were asked for, in their order."""

    databases: dict[str, dict[str, CollectionInfo]] = field(default_factory=lambda: {"default": {}})
    properties: dict[str, dict[str, str]] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    rows: dict[tuple[str, str, str], int] = field(default_factory=dict)  # …, partition
    passwords: dict[str, str] = field(default_factory=lambda: {"root": "Milvus"})
    user_roles: dict[str, set[str]] = field(default_factory=lambda: {"root": set()})
    roles: dict[str, set[tuple[str, Privilege]]] = field(
        default_factory=lambda: {"admin": set(), "public": set()}
    )
    query_nodes: int = 1
    groups: dict[str, int] = field(default_factory=dict)  # resource group -> query nodes
    server_version: str = "2.3.5"
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def connect(self, database: str = "default", token: str = "root:Milvus") -> MemoryMilvus:  # noqa: S107
        """Raises AuthenticationFailed, or MilvusError for a database that is not there."""
        user, _, password = token.partition(":")
        if self.passwords.get(user) != password:
            raise AuthenticationFailed("auth check failure")
        if database not in self.databases:
            raise MilvusError(f"database not found[database={database}]")
        return MemoryMilvus(self, database)


class MemoryMilvus:
    """A connection to one database; the part of `Milvus` that definitions need."""

    uri = "memory://"

    def __init__(self, cluster: MemoryCluster, database: str) -> None:
        self.cluster = cluster
        self.database = database

    @property
    def admin(self) -> MemoryAdmin:
        return MemoryAdmin(self)

    @property
    def groups(self) -> MemoryGroups:
        return MemoryGroups(self)

    @property
    def _collections(self) -> dict[str, CollectionInfo]:
        return self.cluster.databases[self.database]

    def version(self) -> str:
        return self.cluster.server_version

    def close(self) -> None:
        """There is nothing to close."""

    def list_collections(self) -> list[str]:
        return sorted(self._collections)

    def has_collection(self, name: str) -> bool:
        return self._resolve(name) in self._collections

    def describe(self, name: str) -> CollectionInfo:
        info = self._info(name)
        here = (self.database, info.name)
        lead = [a for (d, a), c in self.cluster.aliases.items() if (d, c) == here]
        return dataclasses.replace(info, aliases=tuple(sorted(lead)))

    def segments(self, name: str) -> list[Segment]:
        info = self._info(name)
        return [
            Segment(number, part.id, rows, "Flushed")
            for number, part in enumerate(info.partitions)
            if (rows := self.cluster.rows.get((self.database, info.name, part.name), 0))
        ]

    def count(
        self, name: str, *, filter: str = "", partitions: Sequence[str] = (), strong: bool = True
    ) -> int:
        return sum(s.rows for s in self.segments(name))

    def flush(self, name: str) -> None:
        self._info(name)

    def settings(self) -> Mapping[str, Mapping[str, str]]:
        return {}

    def flushed_until(self, name: str, now: int, *, search: bool = True) -> int | None:
        return now

    def create_collection(
        self,
        name: str,
        schema: Schema,
        *,
        shards: int = 1,
        properties: Mapping[str, str] | None = None,
        partitions: Sequence[Partition | str] = (),
        key_partitions: int | None = None,
        consistency: str = "Bounded",
    ) -> None:
        self._did("create_collection", name)
        names = ["_default", *(p if isinstance(p, str) else p.name for p in partitions)]
        self._collections[name] = CollectionInfo(
            name, len(self.cluster.calls), schema, shards,
            tuple(Partition(n, i) for i, n in enumerate(names)), consistency,
            dict(properties or {}), (), (), "NotLoad", 0,
        )  # fmt: skip

    def drop_collection(self, name: str) -> None:
        self._did("drop_collection", name)
        self._collections.pop(self._resolve(name), None)
        self.cluster.rows = {
            k: v for k, v in self.cluster.rows.items() if k[:2] != (self.database, name)
        }

    def create_index(self, name: str, index: Index, *, wait: bool = False) -> None:
        self._did("create_index", name, index.field)
        if index.type == "DISKANN":
            raise MilvusError("the server has no disk for DISKANN")
        kept = tuple(i for i in self._info(name).indexes if i.index.field != index.field)
        self._set(name, indexes=(*kept, IndexState(index, 0, 0, 0, "Finished")))

    def drop_index(self, name: str, index_name: str) -> None:
        self._did("drop_index", name, index_name)
        if self._info(name).loaded:
            raise MilvusError("index cannot be dropped, collection is loaded")
        kept = tuple(i for i in self._info(name).indexes if i.index.name != index_name)
        self._set(name, indexes=kept)

    def load(
        self, name: str, *, replicas: int = 1, groups: Sequence[str] = (), wait: bool = True
    ) -> None:
        placed = tuple(groups) if len(groups) > 1 else (*groups, DEFAULT_GROUP)[:1] * replicas
        self._did("load", name, str(replicas), *sorted(set(placed) - {DEFAULT_GROUP}))
        if not self._info(name).indexes:
            raise MilvusError("there is no vector index on collection, please create index first")
        there = {g.name: g.available for g in self.groups.all()}
        if any(placed.count(group) > there.get(group, 0) for group in placed):
            raise MilvusError("service resource insufficient: no enough query nodes")
        self._set(name, load_state="Loaded", replicas=replicas, resource_groups=placed)

    def release(self, name: str) -> None:
        self._did("release", name)
        self._set(name, load_state="NotLoad", replicas=0, resource_groups=())

    def create_alias(self, name: str, alias: str) -> None:
        self._did("create_alias", alias, name)
        if (self.database, alias) in self.cluster.aliases:
            raise MilvusError(f"alias {alias} exists")
        self._info(name)
        self.cluster.aliases[(self.database, alias)] = name

    def move_alias(self, name: str, alias: str) -> None:
        self._did("move_alias", alias, name)
        self._info(name)
        self.cluster.aliases[(self.database, alias)] = name

    def drop_alias(self, alias: str) -> None:
        self._did("drop_alias", alias)
        self.cluster.aliases.pop((self.database, alias), None)

    def alias_owner(self, alias: str) -> str | None:
        owner = self.cluster.aliases.get((self.database, alias))
        return owner if owner in self._collections else None

    def _resolve(self, name: str) -> str:
        return self.cluster.aliases.get((self.database, name), name)

    def _info(self, name: str) -> CollectionInfo:
        found = self._collections.get(self._resolve(name))
        if found is None:
            raise CollectionNotFound(f"the server has no collection `{name}`", subject=name)
        return found

    def _set(self, name: str, **values: Any) -> None:
        info = self._info(name)
        self._collections[info.name] = dataclasses.replace(info, **values)

    def _did(self, *what: str) -> None:
        self.cluster.calls.append(what)


class MemoryGroups:
    """Implements `MilvusGroups`."""

    def __init__(self, milvus: MemoryMilvus) -> None:
        self._milvus = milvus
        self._cluster = milvus.cluster

    def all(self) -> tuple[ResourceGroup, ...]:
        free = self._cluster.query_nodes - sum(self._cluster.groups.values())
        groups = {**self._cluster.groups, DEFAULT_GROUP: free}
        return tuple(ResourceGroup(n, count, count) for n, count in sorted(groups.items()))

    def create(self, name: str, nodes: int) -> None:
        self.resize(name, nodes)

    def resize(self, name: str, nodes: int) -> None:
        self._cluster.calls.append(("resize_group", name, str(nodes)))
        others = sum(n for group, n in self._cluster.groups.items() if group != name)
        if others + nodes > self._cluster.query_nodes:
            raise MilvusError("nodes not enough")
        self._cluster.groups[name] = nodes

    def drop(self, name: str) -> None:
        self._cluster.calls.append(("drop_group", name))
        if self.collections(name):
            raise MilvusError("some replicas still loaded in resource group")
        del self._cluster.groups[name]

    def collections(self, name: str) -> dict[str, int]:
        infos = [i for there in self._cluster.databases.values() for i in there.values()]
        return {i.name: i.resource_groups.count(name) for i in infos if name in i.resource_groups}

    def move_replicas(self, collection: str, source: str, target: str, count: int) -> None:
        self._cluster.calls.append(("move_replicas", collection, source, target, str(count)))
        placed = list(self._milvus.describe(collection).resource_groups)
        if target in placed:
            raise MilvusError("dynamically increase replica num is unsupported")
        for _ in range(count):
            placed[placed.index(source)] = target
        self._milvus._set(collection, resource_groups=tuple(placed))


class MemoryAdmin:
    """Implements `MilvusAdmin`."""

    def __init__(self, milvus: MemoryMilvus) -> None:
        self._milvus = milvus
        self._cluster = milvus.cluster

    def list_databases(self) -> list[str]:
        return sorted(self._cluster.databases)

    def database_properties(self, name: str) -> dict[str, str] | None:
        return None if self._old else dict(self._cluster.properties.get(name, {}))

    def create_database(self, name: str, properties: Mapping[str, str] | None = None) -> None:
        self._did("create_database", name)
        self._cluster.databases[name] = {}
        self._cluster.properties[name] = dict(properties or {})

    def alter_database(self, name: str, properties: Mapping[str, str]) -> None:
        self._did("alter_database", name)
        if self._old:
            raise MilvusError("this version of Milvus can't change a database")
        self._cluster.properties[name] |= properties

    def drop_database(self, name: str) -> None:
        self._did("drop_database", name)
        if self._cluster.databases[name]:
            raise MilvusError(f"database:{name} not empty, must drop all collections before")
        del self._cluster.databases[name]

    def create_partition(self, collection: str, partition: str) -> None:
        self._did("create_partition", collection, partition)
        there = self._milvus.describe(collection).partitions
        self._milvus._set(collection, partitions=(*there, Partition(partition, len(there))))

    def drop_partition(self, collection: str, partition: str) -> None:
        self._did("drop_partition", collection, partition)
        there = self._milvus.describe(collection).partitions
        self._milvus._set(collection, partitions=tuple(p for p in there if p.name != partition))

    def partition_rows(self, collection: str, partition: str) -> int:
        return self._cluster.rows.get((self._milvus.database, collection, partition), 0)

    def add_field(self, collection: str, field: Field) -> None:
        self._did("add_field", collection, field.name)
        schema = self._milvus.describe(collection).schema
        added = dataclasses.replace(schema, fields=(*schema.fields, field))
        self._milvus._set(collection, schema=added)

    def alter_collection(self, name: str, properties: Mapping[str, str]) -> None:
        self._did("alter_collection", name, *sorted(properties))
        info = self._milvus.describe(name)
        self._milvus._set(name, properties={**info.properties, **properties})

    def drop_properties(self, name: str, keys: Sequence[str]) -> None:
        self._did("drop_properties", name, *keys)
        if self._old:
            raise MilvusError("this version of Milvus can't take properties away")
        there = self._milvus.describe(name).properties
        self._milvus._set(name, properties={k: v for k, v in there.items() if k not in keys})

    def list_users(self) -> list[str]:
        return sorted(self._cluster.passwords)

    def create_user(self, name: str, password: str) -> None:
        self._did("create_user", name)
        _refuse_short(password)
        if name in self._cluster.passwords:
            raise MilvusError(f"user already exists: {name}")
        self._cluster.passwords[name] = password
        self._cluster.user_roles[name] = set()

    def change_password(self, name: str, old: str, new: str) -> None:
        self._did("change_password", name)
        _refuse_short(new)
        if self._cluster.passwords.get(name) != old:
            raise MilvusError(f"old password not correct for {name}")
        self._cluster.passwords[name] = new

    def drop_user(self, name: str) -> None:
        self._did("drop_user", name)
        self._cluster.passwords.pop(name, None)
        self._cluster.user_roles.pop(name, None)

    def roles_of(self, user: str) -> tuple[str, ...] | None:
        roles = self._cluster.user_roles.get(user)
        return None if roles is None else tuple(sorted(roles))

    def give_role(self, user: str, role: str) -> None:
        self._did("give_role", user, role)
        if role not in self._cluster.roles:
            raise MilvusError(f"not found the role: {role}")
        self._cluster.user_roles[user].add(role)

    def take_role(self, user: str, role: str) -> None:
        self._did("take_role", user, role)
        self._cluster.user_roles[user].discard(role)

    def list_roles(self) -> list[str]:
        return sorted(self._cluster.roles)

    def create_role(self, name: str) -> None:
        self._did("create_role", name)
        self._cluster.roles[name] = set()

    def drop_role(self, name: str) -> None:
        self._did("drop_role", name)
        self._cluster.roles.pop(name, None)
        for roles in self._cluster.user_roles.values():
            roles.discard(name)

    def privileges(self, role: str, *, database: str | None = None) -> frozenset[Privilege]:
        here = database or self._milvus.database
        return frozenset(p for where, p in self._cluster.roles[role] if where == here)

    def grant(self, role: str, privilege: Privilege) -> None:
        self._did("grant", role, str(privilege))
        self._cluster.roles[role].add((self._milvus.database, privilege))

    def revoke(self, role: str, privilege: Privilege) -> None:
        self._did("revoke", role, str(privilege))
        self._cluster.roles[role].discard((self._milvus.database, privilege))

    @property
    def _old(self) -> bool:
        return self._cluster.server_version.startswith("2.3.")

    def _did(self, *what: str) -> None:
        self._cluster.calls.append(what)


def _refuse_short(password: str) -> None:
    if len(password) < 6:
        raise MilvusError(f"invalid password length {len(password)}: 6 to 72 characters")
