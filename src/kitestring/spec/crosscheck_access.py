"""`access`: users, roles and grants, and what they name."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from kitestring.spec.loaded import KeyPath
from kitestring.spec.plain import items, mapping, text
from kitestring.spec.problems import Problem, nearest

_BUILT_IN_ROLES = ("admin", "public")


def check_access(data: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of a spec's `access`."""
    access = mapping(data.get("access"))
    named = yield from _names(access, "roles", "role", _BUILT_IN_ROLES)
    yield from _names(access, "users", "user", ("root",))
    roles = [*named, *_BUILT_IN_ROLES]
    collections = {
        text(c.get("name")): [text(a) for a in items(c.get("aliases"))]
        for c in map(mapping, items(data.get("collections")))
    }
    for i, role in enumerate(map(mapping, items(access.get("roles")))):
        for j, grant in enumerate(map(mapping, items(role.get("grants")))):
            yield from _grant(("access", "roles", i, "grants", j), grant, collections)
    for i, user in enumerate(map(mapping, items(access.get("users")))):
        here: KeyPath = ("access", "users", i)
        seen: set[str] = set()
        for j, name in enumerate(map(text, items(user.get("roles")))):
            if name and name not in roles:
                yield Problem(
                    (*here, "roles", j),
                    "no such role in `access.roles`",
                    name,
                    ", ".join(roles),
                    nearest(name, roles),
                )
            elif name in seen:
                yield Problem((*here, "roles", j), f"the role `{name}` is there more than once")
            seen.add(name)
        if user.get("password") is None and data.get("deployment") is None:
            yield Problem(
                (*here, "password") if "password" in user else here,
                "`password` is missing: one that is made is kept in a Secret of `deployment`, "
                "which this spec has not",
            )


def _names(
    access: Mapping[str, Any], key: str, what: str, built_in: tuple[str, ...]
) -> Generator[Problem, None, list[str]]:
    """Names that are there twice, and names of what Milvus makes itself. Returns the names."""
    seen: list[str] = []
    for i, one in enumerate(map(mapping, items(access.get(key)))):
        name = text(one.get("name"))
        here: KeyPath = ("access", key, i, "name")
        if name in built_in:
            yield Problem(here, f"the {what} `{name}` is Milvus's own: it can't be declared")
        elif name and name in seen:
            yield Problem(here, f"the {what} `{name}` is there more than once")
        seen.append(name)
    return [name for name in seen if name and name not in built_in]


def _grant(
    here: KeyPath, grant: Mapping[str, Any], collections: Mapping[str, list[str]]
) -> Iterator[Problem]:
    kind, name = grant.get("object", "Collection"), text(grant.get("name", "*"))
    if kind == "Global" and name and name != "*":
        yield Problem((*here, "name"), "a Global grant has no object to name", name, "*")
    if kind != "Collection" or not name or name == "*" or name in collections:
        return
    alias_of = next((c for c, aliases in collections.items() if name in aliases), "")
    if alias_of:
        yield Problem(
            (*here, "name"), "this is an alias: a grant names the collection", name, alias_of
        )
        return
    yield Problem(
        (*here, "name"),
        "no such collection in `collections`",
        name,
        ", ".join([*collections, "*"]),
        nearest(name, collections),
    )
