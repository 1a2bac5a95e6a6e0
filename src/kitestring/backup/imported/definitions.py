"""From the schema, indexes and access that milvus-backup recorded to values of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from kitestring.backup.imported.meta import ForeignBackup, ForeignCollection
from kitestring.backup.imported.node import Node
from kitestring.errors import ImportRefused
from kitestring.model.access import Privilege
from kitestring.model.backup import AccessBackup
from kitestring.model.collection import Field, Index, Schema, params_as_text
from kitestring.segments.columns import FIRST_USER_FIELD, PAYLOAD_TYPES

_TYPES: Mapping[int, str] = {number: name for name, number in PAYLOAD_TYPES.items()}
_CONSISTENCY = {0: "Strong", 1: "Session", 2: "Bounded", 3: "Eventually", 4: "Customized"}
_DROPPED = (2, 3)  # states of a field
_SIZES = ("max_length", "dim", "max_capacity")


def schema_of(collection: ForeignCollection) -> Schema:
    """The schema, with field ids.

    Raises:
        ImportRefused: a field is of a type that the reader does not know; it names the field.
    """
    node = collection.node.node("schema")
    structs = list(node.nodes("struct_array_fields"))
    if structs:
        raise _unknown(structs[0], structs[0].text("name"), collection.name, "an array of structs")
    fields = []
    dynamic = node.flag("enable_dynamic_field")
    for raw in node.nodes("fields"):
        number = raw.int("fieldID")
        if number < FIRST_USER_FIELD or raw.int("state") in _DROPPED:
            continue
        if raw.flag("is_dynamic"):
            dynamic = True
            continue
        fields.append(_field(raw, collection.name))
    if sum(f.primary for f in fields) != 1:
        raise node.wrong("fields", "a schema: one field has to be the primary key")
    return Schema(tuple(fields), dynamic, node.text("description"))


def _field(raw: Node, collection: str) -> Field:
    name, kind = raw.text("name"), raw.int("data_type")
    if kind not in _TYPES:
        raise _unknown(raw, name, collection, f"the data type {kind}")
    element = raw.int("element_type")
    if element and element not in _TYPES:
        raise _unknown(raw, name, collection, f"elements of the data type {element}")
    params = raw.pairs("type_params")
    sizes: dict[str, int] = {}
    for size in _SIZES:
        text = params.get(size)
        if text is not None:
            if not text.isdecimal():
                raise raw.wrong(f"type_params.{size}", "a whole number")
            sizes[size] = int(text)
    return Field(
        name=name,
        type=_TYPES[kind],
        primary=raw.flag("is_primary_key"),
        auto_id=raw.flag("autoID"),
        partition_key=raw.flag("is_partition_key"),
        nullable=raw.flag("nullable"),
        max_length=sizes.get("max_length"),
        dim=sizes.get("dim"),
        max_capacity=sizes.get("max_capacity"),
        element_type=_TYPES[element] if element else None,
        field_id=raw.int("fieldID"),
        description=raw.text("description"),
    )


def _unknown(raw: Node, field: str, collection: str, what: str) -> ImportRefused:
    return ImportRefused(
        f"{raw.file}: the field `{field}` of `{collection}` has {what}, which is not known",
        hint="import the other collections with --collection",
        subject=field,
    )


def indexes_of(collection: ForeignCollection) -> tuple[Index, ...]:
    """Definitions only: the backup has no index files."""
    found = []
    for node in collection.node.nodes("index_infos"):
        params = node.mapping("params")
        kind = node.text("index_type") or params.get("index_type", "")
        if not kind or not node.text("field_name"):
            raise node.wrong("index_type", "the type of an index, with its field")
        inner = params.pop("params", "")
        params.pop("index_type", None)
        metric = params.pop("metric_type", "")
        if inner:
            try:
                extra = json.loads(inner)
                params |= params_as_text(extra)
            except (ValueError, AttributeError):
                raise node.wrong("params.params", "a JSON object") from None
        name = node.text("index_name") or node.text("field_name")
        found.append(Index(name, node.text("field_name"), kind, metric, params))
    return tuple(found)


def consistency_of(collection: ForeignCollection) -> str:
    level = collection.node.int("consistency_level")
    if level not in _CONSISTENCY:
        raise collection.node.wrong("consistency_level", "a consistency level")
    return _CONSISTENCY[level]


def access_of(backup: ForeignBackup, database: str) -> AccessBackup | None:
    """Users, roles and grants of one database; None where they were not recorded."""
    if "rbac_meta" not in backup.node.value:
        return None
    node = backup.node.node("rbac_meta")
    users = {
        user.text("user"): tuple(sorted(role.text("name") for role in user.nodes("roles")))
        for user in node.nodes("users")
    }
    roles: dict[str, list[Privilege]] = {role.text("name"): [] for role in node.nodes("roles")}
    for grant in node.nodes("grants"):
        if grant.text("db_name") not in ("", "*", database):
            continue
        privilege = Privilege(
            grant.node("object").text("name"),
            grant.text("object_name"),
            grant.node("grantor").node("privilege").text("name"),
        )
        roles.setdefault(grant.node("role").text("name"), []).append(privilege)
    return AccessBackup(users, {name: tuple(sorted(found)) for name, found in roles.items()})


def left_out(backup: ForeignBackup, collections: Sequence[ForeignCollection]) -> list[str]:
    """What of the collections the backup does not hold, or this tool can't take over; in words."""
    found = []
    for what in ("aliases", "properties"):
        # versions that record when a collection was made record these too; none are left out
        silent = [
            f"`{c.name}`"
            for c in collections
            if what not in c.node.value and "created_timestamp" not in c.node.value
        ]
        if silent:
            found.append(f"{what} of {', '.join(silent)}: not in the backup")
    loaded = [f"`{c.name}`" for c in collections if c.node.text("load_state") == "Loaded"]
    if loaded:
        found.append(f"the number of replicas of {', '.join(loaded)}: not in the backup")
    for collection in collections:
        schema, name = collection.node.node("schema"), collection.name
        found += [
            f"the function `{function.text('name')}` of `{name}`: rows, not how they are computed"
            for function in schema.nodes("functions")
        ]
        found += [
            f"the default value of `{raw.text('name')}` of `{name}`"
            for raw in schema.nodes("fields")
            if raw.text("default_value_base64") or raw.text("default_value_proto")
        ]
    if "rbac_meta" in backup.node.value:
        found.append("passwords of users")
    else:
        found.append("users, roles and grants: not in the backup")
    return found
