"""Resource groups, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.model.collection import DEFAULT_GROUP, ResourceGroup

GROUPS = (
    ("replicas: 1}", "replicas: 1, resource_groups: [online]}"),
    ("backup:\n", "resource_groups: [{name: online, nodes: 2}]\nbackup:\n"),
)


def found(check, loaded, snapshot):
    return [
        (f.subject, f.severity.value, f.expected, f.observed)
        for f in BY_ID[check].run(loaded, snapshot)
    ]


def test_a_spec_without_groups_does_not_ask(spec_from):
    for check in ("groups.nodes", "groups.placement"):
        assert "resource_groups" in BY_ID[check].unasked(spec_from())
        assert not BY_ID[check].unasked(spec_from(*GROUPS))


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ([ResourceGroup("online", 2, 2)], []),
        ([], [("fail", "2", "absent")]),
        ([ResourceGroup("online", 1, 1)], [("fail", "2", "1")]),
        ([ResourceGroup("online", 3, 3)], [("warn", "2", "3")]),
        ([ResourceGroup("online", 2, 1)], [("fail", "2", "1 of 2")]),
    ],
)
def test_nodes(spec_from, clean, there, told):
    snapshot = replace(clean, resource_groups=(ResourceGroup(DEFAULT_GROUP, 1, 1), *there))
    loaded = spec_from(*GROUPS)
    assert found("groups.nodes", loaded, snapshot) == [
        ("test/resource-group/online", *one) for one in told
    ]


def test_placement(spec_from, with_docs):
    loaded = spec_from(*GROUPS)
    assert found("groups.placement", loaded, with_docs(resource_groups=("online",))) == []
    assert found("groups.placement", loaded, with_docs(resource_groups=(DEFAULT_GROUP,))) == [
        ("test/docs", "fail", "online", DEFAULT_GROUP)
    ]
    # `load.state` tells this one
    assert found("groups.placement", loaded, with_docs(load_state="NotLoad", replicas=0)) == []
