"""What proving the isolation of tenants needs beside it in the spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.spec.loaded import KeyPath
from kitestring.spec.plain import items, mapping, text
from kitestring.spec.problems import Problem, nearest

SHARED = ("field", "partition-key")
OWN = ("collection", "database")


def check_isolation(data: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of `isolation` of each collection."""
    access = mapping(data.get("access"))
    users = [text(u.get("name")) for u in map(mapping, items(access.get("users")))]
    for position, raw in enumerate(map(mapping, items(data.get("collections")))):
        if raw.get("isolation") is not None:
            yield from _isolation(("collections", position), raw, users)


def _isolation(path: KeyPath, raw: Mapping[str, Any], users: list[str]) -> Iterator[Problem]:
    here, wanted = (*path, "isolation"), mapping(raw.get("isolation"))
    how = raw.get("tenancy", "none")
    if how == "none":
        yield Problem(here, "say by `tenancy` what keeps the tenants apart")
        return
    no_field = mapping(raw.get("fields")).get("tenant_id", "") in ("none", None)
    if how in SHARED and no_field:
        yield Problem(here, f"`tenancy: {how}` needs a field that says whose a row is")
    if how == "partition" and not items(raw.get("partitions")):
        yield Problem(here, "`tenancy: partition` needs `partitions`: one for each tenant")
    if how in OWN and wanted.get("tenant") is None:
        yield Problem(here, f"`tenancy: {how}` needs `tenant`: whose the rows are")
    for key, modes in (("tenant", OWN), ("users", OWN), ("tenants", SHARED), ("write", SHARED)):
        if wanted.get(key) and how not in modes:
            yield Problem((*here, key), f"only with `tenancy: {'` or `'.join(modes)}`")
    for number, name in enumerate(map(text, items(wanted.get("users")))):
        if name and name not in users:
            yield Problem(
                (*here, "users", number),
                "no such user in `access.users`",
                name,
                ", ".join(users),
                nearest(name, users),
            )
