"""`resource_groups` and what names them."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.spec.crosscheck_groups import check_groups

TWO = [{"name": "online", "nodes": 2}, {"name": "batch", "nodes": 1}]
CLUSTER = {"mode": "cluster", "roles": {"query_node": {"replicas": 4}}}


def told(load: dict[str, Any], groups: Any = TWO, deployment: Any = CLUSTER) -> list[str]:
    data = {
        "resource_groups": groups,
        "deployment": deployment,
        "collections": [{"name": "docs", "load": load}],
    }
    return [f"{'.'.join(map(str, p.path))}: {p.message}" for p in check_groups(data)]


@pytest.mark.parametrize(
    "load",
    [
        {},
        {"resource_groups": ["online"], "replicas": 2},
        {"resource_groups": ["online", "batch"], "replicas": 2},
        {"resource_groups": "online"},  # the models say that this is no list
    ],
)
def test_what_fits(load: dict[str, Any]) -> None:
    assert told(load) == []
    assert told(load, deployment=None) == []


HERE = "collections.0.load.resource_groups"


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ({"resource_groups": ["onlin"]}, f"{HERE}.0: no such group in `resource_groups`"),
        ({"resource_groups": ["online", "batch"]}, f"{HERE}: name one group for all replicas"),
        ({"resource_groups": ["batch", "batch"], "replicas": 2}, f"{HERE}: a group is there more"),
        ({"resource_groups": ["batch"], "replicas": 2}, "and `batch` has 1: raise its `nodes`"),
    ],
)
def test_what_does_not_fit(load: dict[str, Any], expected: str) -> None:
    (found,) = told(load)
    assert expected in found


def test_more_nodes_than_the_deployment_has() -> None:
    three: dict[str, Any] = {"mode": "cluster", "roles": {"query_node": {"replicas": 3}}}
    grouped = {"resource_groups": ["online"]}
    assert told(grouped, deployment=three) == []
    (found,) = told({}, deployment=three)
    assert "none is left for `docs`" in found
    (found,) = told(grouped, deployment={"mode": "standalone"})
    assert "the groups take 3 query nodes, and the deployment has 1" in found
    scaled = {"mode": "cluster", "roles": {"query_node": {"autoscale": {"minimum": 2}}}}
    (found,) = told(grouped, deployment=scaled)
    assert "take 3 query nodes, and the deployment has 2" in found


def test_a_group_that_is_there_twice() -> None:
    (found,) = told({"resource_groups": ["online"]}, [TWO[0], TWO[0]])
    assert found == "resource_groups.1.name: the resource group `online` is there more than once"
