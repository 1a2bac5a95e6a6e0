"""`resource_groups`, and the collections that are loaded into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.spec.loaded import KeyPath
from kitestring.spec.plain import items, mapping, number, text
from kitestring.spec.problems import Problem, nearest


def check_groups(data: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of a spec's `resource_groups` and of what names them."""
    groups: dict[str, int] = {}
    for i, raw in enumerate(map(mapping, items(data.get("resource_groups")))):
        name, nodes = text(raw.get("name")), number(raw.get("nodes"))
        if name and name in groups:
            message = f"the resource group `{name}` is there more than once"
            yield Problem(("resource_groups", i, "name"), message)
        elif name and nodes is not None:
            groups[name] = int(nodes)
    outside = []  # collections of the default group
    for i, raw in enumerate(map(mapping, items(data.get("collections")))):
        load = mapping(raw.get("load"))
        named = [text(n) for n in items(load.get("resource_groups"))]
        if named:
            yield from _load(("collections", i, "load", "resource_groups"), load, named, groups)
        elif load.get("loaded", True) is True:
            outside.append(text(raw.get("name")))
    yield from _nodes(data, groups, outside)


def _load(
    here: KeyPath, load: Mapping[str, Any], named: list[str], groups: Mapping[str, int]
) -> Iterator[Problem]:
    replicas = int(number(load.get("replicas", 1)) or 1)
    for j, name in enumerate(named):
        if name and name not in groups:
            yield Problem(
                (*here, j),
                "no such group in `resource_groups`",
                name,
                ", ".join(groups),
                nearest(name, groups),
            )
    if len(set(named)) < len(named):
        yield Problem(here, "a group is there more than once: name it once for all replicas")
    elif len(named) not in (1, replicas):
        yield Problem(
            here,
            "name one group for all replicas, or one for each of them",
            f"{len(named)} groups for {replicas} replicas",
        )
    elif len(named) == 1 and replicas > groups.get(named[0], replicas):
        yield Problem(
            (*here, 0),
            f"each replica needs a query node of its own, and `{named[0]}` has "
            f"{groups[named[0]]}: raise its `nodes`, or lower `replicas`",
            f"{replicas} replicas",
        )


def _nodes(
    data: Mapping[str, Any], groups: Mapping[str, int], outside: list[str]
) -> Iterator[Problem]:
    """Whether the deployment has as many query nodes as the groups take."""
    deployment = data.get("deployment")
    if not groups or not isinstance(deployment, Mapping):
        return
    there = _query_nodes(deployment)
    taken = sum(groups.values())
    if taken > there:
        yield Problem(
            ("resource_groups",),
            f"the groups take {taken} query nodes, and the deployment has {there}",
        )
    elif taken == there and outside:
        yield Problem(
            ("resource_groups",),
            f"the groups take every query node: none is left for `{outside[0]}`, which is in no "
            "group",
        )


def _query_nodes(deployment: Mapping[str, Any]) -> int:
    """The fewest query nodes that there are; a standalone server is one."""
    if deployment.get("mode") != "cluster":
        return 1
    role = mapping(mapping(deployment.get("roles")).get("query_node"))
    scale = role.get("autoscale")
    count = mapping(scale).get("minimum") if scale else role.get("replicas", 1)
    return int(number(count) or 1)
