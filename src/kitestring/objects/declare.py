"""Which objects a spec asks for, in an order in which they can be made. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kitestring.clients.milvus.way import Way, way_of
from kitestring.objects.holders import plain_schema
from kitestring.objects.kinds import KINDS
from kitestring.spec.access import User
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec
from kitestring.spec.schema import collection_schema, wanted_index


@dataclass(frozen=True, slots=True)
class Declared:
    """An object: its kind, a name for it, its properties, the names of those that have to be there
    before it, and of the collection that it belongs to."""

    kind: str
    name: str
    props: dict[str, Any]
    after: tuple[str, ...] = ()
    of: str = ""

    @property
    def identity(self) -> str:
        return KINDS[self.kind].identity(self.props)


def declared_objects(loaded: LoadedSpec, way: Way | None = None) -> Iterator[Declared]:
    """What a spec asks for by `collections`, `connection.database`, `resource_groups` and `access`.

    Args:
        way: to the server; that of the spec's `connection` where none is given.
    """
    connection: dict[str, Any] = {"connection": (way or way_of(loaded)).plain()}
    database = loaded.spec.connection.database
    base: tuple[str, ...] = ()
    if database != "default":
        name = f"database-{database}"
        properties = loaded.spec.database.properties if loaded.spec.database else {}
        settings = {"properties": dict(properties)} if properties else {}
        yield Declared("database", name, {**connection, "name": database, **settings})
        base = (name,)
    within = {**connection, "database": database}
    for group in loaded.spec.resource_groups:
        props = {**connection, "name": group.name, "nodes": group.nodes}
        yield Declared("resource group", f"resource-group-{group.name}", props)
    for collection in loaded.spec.collections:
        yield from _collection(loaded, collection, within, base)
    yield from _access(loaded, connection, within, base)


def _collection(
    loaded: LoadedSpec, spec: CollectionSpec, within: dict[str, Any], base: tuple[str, ...]
) -> Iterator[Declared]:
    name = spec.name
    props = within | {
        "name": name,
        **plain_schema(collection_schema(loaded.spec, spec)),
        "shards": spec.shards,
    }
    if spec.consistency:
        props["consistency"] = spec.consistency
    if spec.properties:
        props["properties"] = dict(spec.properties)
    own = f"collection-{name}"
    yield Declared("collection", own, props, base)
    parts = [
        Declared(
            "partition",
            f"partition-{name}-{partition}",
            within | {"collection": name, "name": partition},
            (own,),
            of=own,
        )
        for partition in spec.partitions
    ]
    for index in spec.indexes:
        wanted = wanted_index(index)
        defined: dict[str, Any] = {"field": wanted.field, "type": wanted.type}
        if index.name is not None:
            defined["index_name"] = index.name
        if wanted.metric:
            defined["metric"] = wanted.metric
        if wanted.params:
            defined["params"] = dict(wanted.params)
        parts.append(
            Declared(
                "index",
                f"index-{name}-{wanted.field}",
                within | {"collection": name, **defined},
                (own,),
                of=own,
            )
        )
    yield from parts
    load = f"load-{name}"
    state: dict[str, Any] = {
        "collection": name, "loaded": spec.load.loaded, "replicas": spec.load.replicas,
    }  # fmt: skip
    if spec.load.resource_groups:
        state["resource_groups"] = list(spec.load.resource_groups)
    groups = [f"resource-group-{group}" for group in spec.load.resource_groups]
    after = (own, *(p.name for p in parts), *groups)
    yield Declared("load state", load, within | state, after, of=own)
    for alias in spec.aliases:  # an alias leads to what can answer
        props = within | {"name": alias, "collection": name}
        yield Declared("alias", f"alias-{alias}", props, (own, load), of=own)


def _access(
    loaded: LoadedSpec, connection: dict[str, Any], within: dict[str, Any], base: tuple[str, ...]
) -> Iterator[Declared]:
    access = loaded.spec.access
    if access is None:
        return
    for role in access.roles:
        own = f"role-{role.name}"
        yield Declared("role", own, {**connection, "name": role.name})
        yield Declared(
            "grant",
            f"grant-{role.name}",
            within
            | {
                "role": role.name,
                "grants": [g.model_dump(mode="json") for g in role.grants],
            },
            (own, *base),
        )
    made = {role.name for role in access.roles}
    for user in access.users:
        props = {
            **connection,
            "name": user.name,
            "roles": list(user.roles),
            "password": _password(loaded, user),
        }
        yield Declared(
            "user",
            f"user-{user.name}",
            props,
            tuple(f"{kind}-{r}" for r in user.roles if r in made for kind in ("role", "grant")),
        )


def _password(loaded: LoadedSpec, user: User) -> dict[str, Any]:
    """Where the password is found."""
    if user.password is None:
        return {"secret": {"name": f"{loaded.spec.cluster.name}-users", "key": user.name}}
    if user.password.env is not None:
        return {"env": user.password.env}
    return {"file": str(loaded.resolve(user.password.file or ""))}
