"""Databases, collections and partitions: what holds rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from kitestring.checks.schema import field_differences
from kitestring.clients.milvus.unknown import cannot_add
from kitestring.errors import ProvisionRefused
from kitestring.model.collection import Field, Schema
from kitestring.model.versions import adds_fields
from kitestring.objects import rows
from kitestring.objects.base import (
    GENERATION,
    Difference,
    Kind,
    Props,
    Session,
    common,
    moved,
    no_collection,
    no_database,
)

_DYNAMIC = "$meta"  # some servers list it among the fields
_DESCRIPTION = "collection.description"  # a property that changes the description, from 2.5 on
_RELEASED = frozenset({"mmap.enabled"})  # properties that can't be changed while it is loaded


class Database(Kind):
    """A database. `default` is always there and is no resource."""

    name: ClassVar[str] = "database"
    key: ClassVar[tuple[str, ...]] = ("name",)

    def problems(self, props: Props) -> Iterator[tuple[str, str]]:
        yield from super().problems(props)
        if props.get("name") == "default":
            yield "name", "the database `default` is always there: it is no resource"

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        return [*moved(self, wanted, found), *_properties(wanted, found)]

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        if not session.has_database(wanted["name"]):
            return None
        there = session.server().admin.database_properties(wanted["name"])
        found: dict[str, Any] = {"name": wanted["name"]}
        named = wanted.get("properties") or {}
        if named:  # a server that can't tell is taken at its word
            found["properties"] = (
                dict(named) if there is None else {k: there[k] for k in named if k in there}
            )
        return found

    def make(self, session: Session, wanted: Props) -> None:
        session.server().admin.create_database(wanted["name"], wanted.get("properties"))

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        session.server().admin.alter_database(wanted["name"], wanted.get("properties") or {})

    def drop(self, session: Session, props: Props) -> None:
        if not session.has_database(props["name"]):
            return
        server = session.server(props["name"])
        for name in server.list_collections():  # the server drops none but an empty database
            server.drop_collection(name)
        session.server().admin.drop_database(props["name"])

    def rows(self, session: Session, props: Props) -> int:
        name = props["name"]
        if not session.has_database(name):
            return 0
        names = session.server(name).list_collections()
        return sum(rows.of_collection(session, name, c) for c in names)


class Collection(Kind):
    """A collection without its indexes: schema, shards, properties. From 2.6 on, fields that may
    be null are added in place."""

    name: ClassVar[str] = "collection"
    key: ClassVar[tuple[str, ...]] = ("database", "name")

    def problems(self, props: Props) -> Iterator[tuple[str, str]]:
        yield from super().problems(props)
        try:
            schema = schema_from(props)
        except (TypeError, KeyError) as error:
            yield "fields", f"not the fields of a schema: {error}"
            return
        if sum(f.primary for f in schema.fields) != 1:
            yield "fields", "exactly one field has to be the primary key"
        if not schema.vectors:
            yield "fields", "a collection needs a vector field"
        if int(props.get("shards", 1)) < 1:
            yield "shards", "it has to be 1 or more"

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        return [
            *moved(self, wanted, found),
            *_schema(schema_from(wanted), schema_from(found)),
            *_shards(wanted, found),
            *_properties(wanted, found),
            *_description(wanted, found),
        ]

    def leftovers(self, old: Props, new: Props) -> list[Difference]:
        before, after = old.get("properties") or {}, new.get("properties") or {}
        return [
            Difference(f"properties.{key}", "not set", before[key])
            for key in sorted(before.keys() - after.keys())
        ]

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        database, name = wanted["database"], wanted["name"]
        if not session.has_database(database):
            return None
        server = session.server(database)
        if not server.has_collection(name):
            return None
        info = server.describe(name)
        if info.name != name:
            raise ProvisionRefused(
                f"`{name}` is an alias of `{info.name}` on the server",
                hint="drop the alias, or give the collection another name",
                subject=name,
            )
        found = common(wanted) | {
            "name": name,
            **plain_schema(info.schema),
            "shards": info.shards,
        }
        if "fields" in wanted and not any(_schema(schema_from(wanted), info.schema)):
            found["fields"] = wanted["fields"]  # sizes that the spec leaves open
        keys = wanted.get("properties", info.properties)
        found["properties"] = {k: info.properties[k] for k in keys if k in info.properties}
        if "consistency" in wanted:  # it is given at the making: `config.consistency` tells drift
            found["consistency"] = wanted["consistency"]
        if not _can_describe(server.version()) and "description" in wanted:
            found["description"] = wanted["description"]
        return _without_empty(found)

    def make(self, session: Session, wanted: Props) -> None:
        session.server(wanted["database"]).create_collection(
            wanted["name"],
            schema_from(wanted),
            shards=int(wanted.get("shards", 1)),
            properties=wanted.get("properties") or None,
            consistency=str(wanted.get("consistency", "Bounded")),
        )

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        server, name = session.server(wanted["database"]), wanted["name"]
        named: Mapping[str, str] = wanted.get("properties") or {}
        changed = [d.what.partition("properties.")[2] for d in differences]
        setting = {k: named[k] for k in changed if k in named}
        gone = [k for k in changed if k and k not in named]
        if any(d.what == "description" for d in differences) and _can_describe(server.version()):
            setting[_DESCRIPTION] = wanted.get("description", "")
        there = {f.name for f in schema_from(found).fields}
        for field in schema_from(wanted).fields:
            if field.name not in there:
                server.admin.add_field(name, field)
        info = server.describe(name)
        reloads = bool(info.replicas and _RELEASED & set(changed))
        if reloads:
            server.release(name)
        try:
            if setting:
                server.admin.alter_collection(name, setting)
            if gone:
                server.admin.drop_properties(name, gone)
        finally:
            if reloads:
                server.load(name, replicas=info.replicas, groups=info.resource_groups)

    def refuse(self, session: Session, wanted: Props, differences: Sequence[Difference]) -> None:
        added = [d.wanted.split()[0] for d in differences if d.what == "fields" and d.adds]
        version = session.server(wanted["database"]).version() if added else ""
        if added and not adds_fields(version):
            raise cannot_add(version, wanted["name"], added)

    def missing(self, session: Session, wanted: Props) -> str:
        return no_database(session, wanted["database"])

    def drop(self, session: Session, props: Props) -> None:
        if session.has_database(props["database"]):
            server = session.server(props["database"])
            if server.has_collection(props["name"]):
                for alias in server.describe(props["name"]).aliases:
                    server.drop_alias(alias)  # an alias would keep it, or lead nowhere
                server.drop_collection(props["name"])

    def computed(self, session: Session, props: Props) -> dict[str, str]:
        return {GENERATION: str(session.server(props["database"]).describe(props["name"]).id)}

    def rows(self, session: Session, props: Props) -> int:
        return rows.of_collection(session, props["database"], props["name"])


class Partition(Kind):
    """A partition beside `_default`."""

    name: ClassVar[str] = "partition"
    key: ClassVar[tuple[str, ...]] = ("database", "collection", "name")

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        return moved(self, wanted, found)

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        if not session.has_database(wanted["database"]):
            return None
        server = session.server(wanted["database"])
        if not server.has_collection(wanted["collection"]):
            return None
        names = {p.name for p in server.describe(wanted["collection"]).partitions}
        if wanted["name"] not in names:
            return None
        return common(wanted) | {"collection": wanted["collection"], "name": wanted["name"]}

    def make(self, session: Session, wanted: Props) -> None:
        admin = session.server(wanted["database"]).admin
        admin.create_partition(wanted["collection"], wanted["name"])

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        """There is nothing about a partition that could change."""

    def missing(self, session: Session, wanted: Props) -> str:
        return no_collection(session, wanted["database"], wanted["collection"])

    def drop(self, session: Session, props: Props) -> None:
        if self.find(session, props) is not None:
            admin = session.server(props["database"]).admin
            admin.drop_partition(props["collection"], props["name"])

    def rows(self, session: Session, props: Props) -> int:
        return rows.of_partition(session, props["database"], props["collection"], props["name"])


def plain_schema(schema: Schema) -> dict[str, Any]:
    """A schema as properties of a resource, without what is left at its default."""
    fields = []
    for field in schema.fields:
        if field.name == _DYNAMIC:
            continue
        plain = {"name": field.name, "type": field.type}
        for name in ("primary", "auto_id", "partition_key", "nullable", "max_length", "dim",
                     "max_capacity", "element_type", "description"):  # fmt: skip
            value = getattr(field, name)
            if value not in (None, False, ""):
                plain[name] = value
        fields.append(plain)
    found: dict[str, Any] = {"fields": fields, "dynamic": schema.dynamic}
    return found | ({"description": schema.description} if schema.description else {})


def schema_from(props: Props) -> Schema:
    """The schema that `plain_schema` gave."""
    return Schema(
        tuple(Field(**f) for f in props.get("fields", ())),
        bool(props.get("dynamic", True)),
        str(props.get("description", "")),
    )


def _schema(wanted: Schema, found: Schema) -> Iterator[Difference]:
    there = {f.name: f for f in found.fields if f.name != _DYNAMIC}
    for field in wanted.fields:
        if field.name not in there:
            added = field.addable
            yield Difference(
                "fields", f"{field.name} {field.type}", "absent", replaces=not added, adds=added
            )
            continue
        for what, expected, observed in field_differences(field, there.pop(field.name)):
            yield Difference("fields", f"{field.name}.{what} {expected}", observed, replaces=True)
    for name, left in there.items():
        yield Difference("fields", "absent", f"{name} {left.type}", replaces=True)
    if wanted.dynamic != found.dynamic:
        yield Difference("dynamic", _text(wanted.dynamic), _text(found.dynamic), replaces=True)


def _shards(wanted: Props, found: Props) -> Iterator[Difference]:
    expected, there = int(wanted.get("shards", 1)), int(found.get("shards", 1))
    if expected != there:
        yield Difference("shards", str(expected), str(there), replaces=True)


def _properties(wanted: Props, found: Props) -> Iterator[Difference]:
    expected, there = wanted.get("properties") or {}, found.get("properties") or {}
    for key in sorted(expected.keys() | there.keys()):
        if expected.get(key) != there.get(key):
            yield Difference(
                f"properties.{key}",
                expected.get(key, "not set"),
                there.get(key, "not set"),
                adds=key not in there,
            )


def _description(wanted: Props, found: Props) -> Iterator[Difference]:
    expected, there = wanted.get("description", ""), found.get("description", "")
    if expected != there:
        yield Difference("description", repr(expected), repr(there))


def _can_describe(version: str) -> bool:
    numbers = re.findall(r"\d+", version)[:2]
    return [int(n) for n in numbers] >= [2, 5]


def _without_empty(props: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in props.items() if v not in ("", {}, None)}


def _text(value: bool) -> str:
    return str(value).lower()
