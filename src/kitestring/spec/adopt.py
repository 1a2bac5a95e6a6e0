"""Writes a spec from what a server holds, so that an existing cluster can be kept true.

The row contract's names are mapped onto the fields found: by the same name, or by a name that is
commonly used for the same thing and a type that can play the role. Every guess carries a comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kitestring.errors import UsageError
from kitestring.model.collection import DEFAULT_GROUP, CollectionInfo, Field, Index, ResourceGroup
from kitestring.spec.document import parse_document
from kitestring.spec.load import resolve
from kitestring.spec.loaded import KeyPath, LoadedSpec
from kitestring.spec.models import Column, IndexSpec
from kitestring.spec.roles import RoleMap, map_roles
from kitestring.spec.shape import shape_of_field
from kitestring.spec.yamltext import to_yaml


@dataclass(frozen=True, slots=True)
class Adopted:
    """A spec as text, and what was left out of it, with the reason."""

    text: str
    collections: int
    guesses: int
    left_out: Mapping[str, str] = field(default_factory=dict)

    def notes(self, where: str) -> list[str]:
        """What to tell the user beside the text."""
        lines = [f"wrote {_count(self.collections, 'collection')} to {where}"]
        if self.guesses:
            lines.append(f"{_count(self.guesses, 'guess', 'guesses')} to look at, see the comments")
        lines += [f"left out {name}: {why}" for name, why in sorted(self.left_out.items())]
        return lines


def bare_spec(
    cluster: str, uri: str, *, token_env: str = "", database: str = "default", ca_file: str = ""
) -> LoadedSpec:
    """A spec of nothing but the connection, to read the server with.

    Raises:
        SpecInvalid: one of the values is not of the form that a spec takes.
    """
    data = _server(cluster, uri, token_env, database, ca_file)
    return resolve(parse_document(Path("the new spec"), to_yaml(data)), {})


def adopt(
    cluster: str,
    uri: str,
    collections: Sequence[CollectionInfo],
    *,
    groups: Sequence[ResourceGroup] = (),
    token_env: str = "",
    database: str = "default",
    ca_file: str = "",
) -> Adopted:
    """The spec of what a server holds; it loads without errors.

    Args:
        cluster: the cluster's name in the spec.
        groups: the server's resource groups, where collections are in others than the default one.
        token_env: the environment variable that holds the token; empty for none.
    """
    left_out = {c.name: why for c in collections if (why := _unknown(c))}
    known = sorted((c for c in collections if c.name not in left_out), key=lambda c: c.name)
    comments: dict[KeyPath, str] = {}
    data = _server(cluster, uri, token_env, database, ca_file)
    apart = {g.name: g.nodes for g in groups if g.name != DEFAULT_GROUP and g.nodes}
    if apart:
        data["resource_groups"] = [{"name": n, "nodes": count} for n, count in apart.items()]
    data["collections"] = [_collection(c, n, apart, comments) for n, c in enumerate(known)]
    text = _head(uri, left_out) + to_yaml(data, comments)
    resolve(parse_document(Path("the adopted spec"), text), {})
    guesses = sum("guess" in c for c in comments.values())
    return Adopted(text, len(known), guesses, left_out)


def cluster_name(uri: str) -> str:
    """A name for the cluster at a URI, from its host.

    Raises:
        UsageError: the URI has no host, or holds a user and password.
    """
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"`{uri}` is no address of a server", hint="--uri http://HOST:19530")
    if "@" in parts.netloc:
        raise UsageError(
            "the URI must not hold a user and password",
            hint="put them into a variable, such as MILVUS_TOKEN=user:password, and name it: "
            "--token-env MILVUS_TOKEN",
        )
    return re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")[:63].strip("-") or "milvus"


def refuse_existing(file: Path, *, force: bool) -> None:
    """Raises UsageError where a file is there that must not be overwritten, or no folder is."""
    if not file.parent.is_dir():
        raise UsageError(f"there is no folder {file.parent}", hint=f"mkdir -p {file.parent}")
    if file.exists() and not force:
        raise UsageError(f"{file} is there already", hint="name another --out, or add --force")


def _server(cluster: str, uri: str, token_env: str, database: str, ca_file: str) -> dict[str, Any]:
    connection: dict[str, Any] = {"uri": uri}
    if database != "default":
        connection["database"] = database
    if token_env:
        connection["token"] = {"env": token_env}
    if ca_file:
        connection["tls"] = {"ca_file": str(Path(ca_file).resolve())}
    return {
        "version": 1,
        "cluster": {"name": cluster},
        "connection": connection,
        "state": f".kitestring/{cluster}/state",
    }


def _head(uri: str, left_out: Mapping[str, str]) -> str:
    lines = [
        f"# Adopted from {uri}. Look at every guess below, then add what a server can't tell:",
        "# `models`, each collection's `model` and `chunking`, `storage`, `backup`, `objectives`.",
    ]
    lines += [f"# left out: {name}: {why}" for name, why in sorted(left_out.items())]
    return "\n".join(lines) + "\n"


def _collection(
    info: CollectionInfo, number: int, apart: Mapping[str, int], comments: dict[KeyPath, str]
) -> dict[str, Any]:
    path: KeyPath = ("collections", number)
    roles = map_roles(info.schema)
    for role, reason in roles.reasons.items():
        comments[(*path, "fields", role)] = reason
    data: dict[str, Any] = {"name": info.name}
    if info.schema.description:
        data["description"] = info.schema.description
    data["fields"] = dict(roles.fields)
    # some servers list the dynamic field among the others: `dynamic` stands for it
    data["columns"] = [_column(f) for f in info.schema.fields if not f.name.startswith("$")]
    data["dynamic"] = info.schema.dynamic
    if _by_tenant(info, roles):
        data["tenancy"] = "partition-key"
    data["shards"] = info.shards
    if not any(f.partition_key for f in info.schema.fields):
        data["partitions"] = [p.name for p in info.partitions if p.name != "_default"]
    data["properties"] = {k: str(v) for k, v in sorted(info.properties.items())}
    data["indexes"] = [_index(state.index) for state in info.indexes]
    loaded = info.load_state != "NotLoad"
    data["load"] = {"loaded": loaded, "replicas": max(1, info.replicas)}
    if named := _groups(info, apart):
        data["load"]["resource_groups"] = named
    data["aliases"] = sorted(info.aliases)
    empty = ("partitions", "properties", "indexes", "aliases")
    return {k: v for k, v in data.items() if v or k not in empty}


def _groups(info: CollectionInfo, apart: Mapping[str, int]) -> list[str]:
    """The groups of a collection as a spec names them; none where it has replicas elsewhere."""
    named = sorted(set(info.resource_groups))
    if not named or not set(named) <= apart.keys():
        return []
    each = len(named) == info.replicas
    return named if each or (len(named) == 1 and info.replicas <= apart[named[0]]) else []


def _by_tenant(info: CollectionInfo, roles: RoleMap) -> bool:
    tenant = info.schema.field(roles.fields["tenant_id"])
    return bool(tenant and tenant.partition_key)


def _column(field_: Field) -> dict[str, Any]:
    data = {"name": field_.name, "type": field_.type}
    return data | {
        name: getattr(field_, name)
        for name in Column.model_fields
        if name not in data and getattr(field_, name) not in (None, False)
    }


def _index(index: Index) -> dict[str, Any]:
    data: dict[str, Any] = {"field": index.field}
    if index.name != index.field:
        data["name"] = index.name
    data["type"] = index.type
    if index.metric:
        data["metric"] = index.metric
    if index.params:
        data["params"] = {k: _number(v) for k, v in sorted(index.params.items())}
    return data


def _number(text: str) -> int | str:
    """A parameter's text as a number where that gives the same text again."""
    return int(text) if re.fullmatch(r"0|-?[1-9]\d{0,17}", text) else text


def _unknown(info: CollectionInfo) -> str:
    """Why a collection can't be described in a spec; an empty text where it can."""
    if not info.schema.vectors:
        return "it has no vector field"
    for found in info.schema.fields:
        if found.type not in _choices(Column, "type"):
            return f"the type {found.type} of its field `{found.name}` is not known"
    for state in info.indexes:
        index = state.index
        if index.type not in _choices(IndexSpec, "type"):
            return f"the type {index.type} of its index `{index.name}` is not known"
        if index.metric and index.metric not in _choices(IndexSpec, "metric"):
            return f"the metric {index.metric} of its index `{index.name}` is not known"
    return ""


def _choices(model: type[Column] | type[IndexSpec], name: str) -> tuple[Any, ...]:
    return shape_of_field(model.model_fields[name]).choices


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
