"""What exists in which version of Milvus, and which upgrades are allowed."""

from __future__ import annotations

import pytest

from kitestring.model.versions import (
    ROLES,
    Allowed,
    Feature,
    MilvusVersion,
    Mode,
    Refused,
    default_message_log,
    has,
    index_builder,
    message_logs,
    roles,
    upgrade,
)

V = MilvusVersion.parse


def test_versions_are_compared_by_number() -> None:
    assert V("2.5.4") < V("2.5.16") < V("2.6.0")
    assert str(V("v2.5.16")) == "2.5.16"
    assert V("2.5.16").line == (2, 5)


@pytest.mark.parametrize("text", ["", "2.5", "2.5.x", "2.5.16-rc1", "latest"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no version of Milvus: write three numbers"):
        V(text)


@pytest.mark.parametrize(("text", "known"), [("2.2.16", False), ("2.3.0", True), ("2.7.1", False)])
def test_known_versions(text: str, known: bool) -> None:
    assert V(text).known is known


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        ("2.3.5", "cluster", ("index_node", "coordinator", "query_node", "data_node", "proxy")),
        ("2.5.16", "cluster", ("index_node", "coordinator", "query_node", "data_node", "proxy")),
        ("2.6.0", "cluster", ("coordinator", "streaming_node", "query_node", "data_node", "proxy")),
        ("2.3.5", "standalone", ("standalone",)),
        ("2.6.5", "standalone", ("standalone",)),
    ],
)
def test_roles_in_the_order_of_an_upgrade(text: str, mode: Mode, expected: tuple[str, ...]) -> None:
    assert roles(V(text), mode) == expected
    assert set(expected) <= set(ROLES)


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        ("2.5.16", "cluster", "index_node"),
        ("2.6.0", "cluster", "data_node"),
        ("2.6.0", "standalone", "standalone"),
    ],
)
def test_who_builds_indexes(text: str, mode: Mode, expected: str) -> None:
    assert index_builder(V(text), mode) == expected
    assert expected in roles(V(text), mode)


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        ("2.5.16", "standalone", ("rocksmq", "kafka", "pulsar")),
        ("2.5.16", "cluster", ("kafka", "pulsar")),
        # a standalone server that was upgraded keeps its rocksmq
        ("2.6.0", "standalone", ("woodpecker", "rocksmq", "kafka", "pulsar")),
        ("2.6.0", "cluster", ("woodpecker", "kafka", "pulsar")),
    ],
)
def test_message_logs(text: str, mode: Mode, expected: tuple[str, ...]) -> None:
    assert message_logs(V(text), mode) == expected
    assert default_message_log(V(text), mode) == expected[0]


@pytest.mark.parametrize(
    ("text", "expected"), [("2.3.5", False), ("2.4.7", False), ("2.4.8", True), ("2.5.0", True)]
)
def test_root_password_by_configuration(text: str, expected: bool) -> None:
    assert has(V(text), Feature.DEFAULT_ROOT_PASSWORD) is expected


@pytest.mark.parametrize("feature", list(Feature))
def test_every_feature_has_a_first_version(feature: Feature) -> None:
    assert not has(V("2.3.5"), feature)
    assert has(V("2.6.15"), feature)


def test_an_upgrade_within_a_minor() -> None:
    assert upgrade(V("2.5.4"), V("2.5.16"), "cluster") == Allowed(
        ("index_node", "coordinator", "query_node", "data_node", "proxy")
    )


def test_an_upgrade_to_2_6_takes_the_index_node_away() -> None:
    assert upgrade(V("2.5.16"), V("2.6.5"), "cluster") == Allowed(
        ("coordinator", "streaming_node", "query_node", "data_node", "proxy"), ("index_node",)
    )


def test_a_patch_taken_back_rolls_in_reverse_and_says_what_it_risks() -> None:
    found = upgrade(V("2.5.16"), V("2.5.4"), "cluster")
    assert isinstance(found, Allowed)
    assert found.order == ("proxy", "data_node", "query_node", "coordinator", "index_node")
    assert found.notes == (
        "2.5.16 to 2.5.4 takes a patch back: make a backup first, what the newer patch has "
        "written may need a restore",
    )


@pytest.mark.parametrize(
    ("old", "new", "reason", "hint"),
    [
        ("2.5.16", "2.4.23",
         "Milvus can't go back from 2.5.16 to 2.4.23: it would not read what 2.5.16 has written",
         "provision a cluster of 2.4.23 beside it and restore a backup that 2.4.23 can read"),
        ("2.3.5", "2.5.16", "from 2.3.5 to 2.5.16 skips a minor version", "go to 2.4 first"),
        ("2.4.8", "2.6.0", "from 2.4.8 to 2.6.0 skips a minor version", "go to 2.5 first"),
        ("2.5.15", "2.6.0",
         "2.6 is reached from 2.5.16 or a later 2.5, with its coordinators in one pod; this is "
         "2.5.15",
         "go to 2.5.16 first"),
        ("2.6.0", "2.7.0", "Milvus 2.7.0 is not known", "known are 2.3, 2.4, 2.5, 2.6"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_upgrades_that_are_refused(old: str, new: str, reason: str, hint: str, mode: Mode) -> None:
    assert upgrade(V(old), V(new), mode) == Refused(reason, hint)


@pytest.mark.parametrize("text", ["2.3.5", "v2.3.5", "v2.3.5-dev", "2.3.5-lite+1"])
def test_what_a_server_says_it_is(text):
    assert MilvusVersion.of_server(text) == MilvusVersion(2, 3, 5)


def test_a_server_that_says_no_version():
    with pytest.raises(ValueError, match="no version of Milvus"):
        MilvusVersion.of_server("unknown")
