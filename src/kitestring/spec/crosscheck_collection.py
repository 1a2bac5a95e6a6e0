"""The keys of one collection that must fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.spec.crosscheck_canary import check_canary
from kitestring.spec.crosscheck_index import WantedColumn, check_indexes
from kitestring.spec.crosscheck_ingest import check_chunking, check_metadata
from kitestring.spec.loaded import KeyPath
from kitestring.spec.models import ROLE_TYPES, ROLES, FieldMap
from kitestring.spec.plain import items, mapping, number, text
from kitestring.spec.problems import Problem, nearest

_BINARY = "BINARY_VECTOR"
_SPARSE = "SPARSE_FLOAT_VECTOR"


def check_collection(
    path: KeyPath, raw: Mapping[str, Any], dimensions: Mapping[str, Any]
) -> Iterator[Problem]:
    """The problems within one collection.

    Args:
        path: the collection's key path.
        raw: its plain values.
        dimensions: the dimension of each model, by label.
    """
    yield from _model(path, raw, dimensions)
    yield from check_chunking(path, raw)
    roles = {role: _role(raw, role) for role in ROLES}
    yield from check_metadata(path, raw, roles)
    columns = _columns(path, raw, roles)
    if raw.get("columns") is not None:
        yield from _schema(path, raw)
        yield from _roles(path, raw, roles, columns)
        yield from _dimension(path, raw, roles, dimensions)
    else:
        yield from _distinct_roles(path, roles)
    yield from _tenancy(path, raw, roles)
    yield from _partitions(path, raw)
    yield from check_indexes(path, raw, columns)
    yield from check_canary(path, raw)


def _role(raw: Mapping[str, Any], role: str) -> str:
    """The field that plays a role; an empty text where none does."""
    value = mapping(raw.get("fields")).get(role, FieldMap.model_fields[role].default)
    return "" if value in (None, "none") else text(value)


def _columns(
    path: KeyPath, raw: Mapping[str, Any], roles: Mapping[str, str]
) -> dict[str, WantedColumn]:
    if raw.get("columns") is None:
        return {
            name: WantedColumn(name, ROLE_TYPES[role][0], _role_path(path, raw, role))
            for role, name in roles.items()
            if name
        }
    return {
        name: WantedColumn(name, text(column.get("type")), (*path, "columns", i, "name"))
        for i, column in enumerate(map(mapping, items(raw.get("columns"))))
        if (name := text(column.get("name")))
    }


def _role_path(path: KeyPath, raw: Mapping[str, Any], role: str) -> KeyPath:
    written = role in mapping(raw.get("fields"))
    return (*path, "fields", role) if written else (*path, "name")


def _model(
    path: KeyPath, raw: Mapping[str, Any], dimensions: Mapping[str, Any]
) -> Iterator[Problem]:
    label = text(raw.get("model"))
    if label and label not in dimensions:
        known = ", ".join(dimensions)
        yield Problem(
            (*path, "model"),
            "no such model in `models`",
            label,
            known or "",
            nearest(label, dimensions),
        )
    if raw.get("model") is None and raw.get("columns") is None:
        yield Problem(
            (*path, "model"),
            "missing: without `columns`, the model gives the dimension of the vectors",
            allowed=", ".join(dimensions),
        )


def _schema(path: KeyPath, raw: Mapping[str, Any]) -> Iterator[Problem]:
    """What Milvus asks of the columns of a collection."""
    seen: set[str] = set()
    primaries, keys = 0, 0
    for i, column in enumerate(map(mapping, items(raw.get("columns")))):
        here = (*path, "columns", i)
        name, kind = text(column.get("name")), text(column.get("type"))
        if name in seen:
            yield Problem((*here, "name"), f"the column `{name}` is there more than once")
        seen.add(name)
        for key in _needed(kind):
            if column.get(key) is None:
                yield Problem((*here, key), f"missing: a column of type {kind} needs it")
        if kind == _BINARY and (number(column.get("dim")) or 8) % 8:
            yield Problem(
                (*here, "dim"), "must be a multiple of 8 for BINARY_VECTOR", column.get("dim")
            )
        if column.get("primary") is True:
            primaries += 1
            if primaries == 2:
                yield Problem(
                    (*here, "primary"), "another column is primary already: there is only one"
                )
            if kind and kind not in ("INT64", "VARCHAR"):
                yield Problem(
                    (*here, "type"), "a primary key can't have this type", kind, "INT64, VARCHAR"
                )
        elif column.get("auto_id") is True:
            yield Problem((*here, "auto_id"), "only the primary key can have it")
        if column.get("partition_key") is True:
            keys += 1
            if keys == 2:
                yield Problem(
                    (*here, "partition_key"), "another column is the partition key already"
                )
            if kind and kind not in ("INT64", "VARCHAR"):
                yield Problem(
                    (*here, "type"), "a partition key can't have this type", kind, "INT64, VARCHAR"
                )
    if not primaries:
        yield Problem((*path, "columns"), "one column must have `primary: true`")


def _needed(kind: str) -> tuple[str, ...]:
    if kind == "VARCHAR":
        return ("max_length",)
    if kind == "ARRAY":
        return ("element_type", "max_capacity")
    return ("dim",) if kind.endswith("_VECTOR") and kind != _SPARSE else ()


def _roles(
    path: KeyPath,
    raw: Mapping[str, Any],
    roles: Mapping[str, str],
    columns: Mapping[str, WantedColumn],
) -> Iterator[Problem]:
    """Each role must name a column, of a type that can play it."""
    primary = next(
        (
            text(c.get("name"))
            for c in map(mapping, items(raw.get("columns")))
            if c.get("primary") is True
        ),
        "",
    )
    for role, name in roles.items():
        if not name:
            continue
        written = role in mapping(raw.get("fields"))
        here = (*path, "fields", role) if written else (*path, "columns")
        column = columns.get(name)
        if column is None:
            close = nearest(name, columns)
            if written:
                message = f"no column of that name; write `{role}: none` when none plays that role"
                if role in ("id", "vector"):
                    message = "no column of that name"
                yield Problem(here, message, name, ", ".join(columns), close)
            elif role in ("id", "vector"):
                yield Problem(
                    here,
                    f"no column is called `{name}`: name the {role} with `fields: {{{role}: …}}`",
                )
            else:
                yield Problem(
                    here,
                    f"no column is called `{name}`: write `fields: {{{role}: none}}`, or the "
                    "column that plays that role",
                )
        elif column.type and column.type not in ROLE_TYPES[role]:
            yield Problem(
                here,
                f"a column of type {column.type} can't be the {role}",
                name,
                ", ".join(ROLE_TYPES[role]),
            )
        elif role == "id" and primary and name != primary:
            yield Problem(here, "must be the primary key", name, primary)


def _dimension(
    path: KeyPath,
    raw: Mapping[str, Any],
    roles: Mapping[str, str],
    dimensions: Mapping[str, Any],
) -> Iterator[Problem]:
    label = text(raw.get("model"))
    wanted = dimensions.get(label)
    for i, column in enumerate(map(mapping, items(raw.get("columns")))):
        dim = number(column.get("dim"))
        if column.get("name") == roles["vector"] and dim and wanted and dim != wanted:
            yield Problem(
                (*path, "columns", i, "dim"),
                f"the model {label} has another dimension",
                dim,
                str(wanted),
            )


def _distinct_roles(path: KeyPath, roles: Mapping[str, str]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for role, name in roles.items():
        if name and name in seen:
            yield Problem(
                (*path, "fields", role), f"`{name}` is the field of `{seen[name]}` already", name
            )
        seen.setdefault(name, role)


def _tenancy(path: KeyPath, raw: Mapping[str, Any], roles: Mapping[str, str]) -> Iterator[Problem]:
    if raw.get("tenancy") != "partition-key":
        return
    if not roles["tenant_id"]:
        yield Problem(
            (*path, "tenancy"),
            "`partition-key` needs a field that says whose a row is",
            "partition-key",
        )
    elif raw.get("columns") is not None and not any(
        c.get("name") == roles["tenant_id"] and c.get("partition_key") is True
        for c in map(mapping, items(raw.get("columns")))
    ):
        yield Problem(
            (*path, "tenancy"),
            f"the column `{roles['tenant_id']}` is not there with `partition_key: true`",
            "partition-key",
        )


def _partitions(path: KeyPath, raw: Mapping[str, Any]) -> Iterator[Problem]:
    partitions = items(raw.get("partitions"))
    by_key = raw.get("tenancy") == "partition-key" or any(
        c.get("partition_key") is True for c in map(mapping, items(raw.get("columns")))
    )
    if partitions and by_key:
        yield Problem(
            (*path, "partitions"),
            "Milvus names the partitions of a partition key itself: remove it",
        )
    for i, name in enumerate(partitions):
        if name == "_default":
            yield Problem((*path, "partitions", i), "`_default` is always there: remove it")
        elif name in partitions[:i]:
            yield Problem(
                (*path, "partitions", i), f"the partition `{name}` is there more than once"
            )
