"""Access drift, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.drift import run_drift
from kitestring.model.access import AccessSeen, Privilege
from kitestring.observe.access import probe_access

DECLARED = (
    "objectives:",
    """access:
  roles:
    - {name: reader, grants: [{name: docs, privileges: [Search, Query]}]}
  users:
    - {name: ann, password: {env: ANN}, roles: [reader]}
objectives:""",
)
READS = frozenset({Privilege("Collection", "docs", p) for p in ("Search", "Query")})
RIGHT = AccessSeen({"root": ("admin",), "ann": ("reader",)}, {"reader": READS})
ALL_CHECKS = ("access.observed", "access.missing", "access.extra", "access.widened")


@pytest.fixture
def found(spec_from, clean):
    def run(seen):
        report = run_drift(spec_from(DECLARED), replace(clean, access=seen), only=["access"])
        return [
            (f.check, f.subject, f.severity.value, f.observed) for f in report.findings
        ], report.exit_code

    return run


def test_left_alone_where_the_spec_says_nothing(spec_from):
    for check in ALL_CHECKS:
        assert "no `access`" in BY_ID[check].unasked(spec_from())


def test_clean(found):
    assert found(RIGHT) == ([], 0)


def test_unread_is_inconclusive(found):
    for seen in (None, AccessSeen(reason="permission denied")):
        told, code = found(seen)
        assert [one[0] for one in told] == ["access.observed"]
        assert code == 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"users": {}}, ("access.missing", "test/user/ann", "fail", "absent")),
        ({"roles": {}}, ("access.missing", "test/role/reader", "fail", "absent")),
        ({"users": {"ann": ()}}, ("access.missing", "test/user/ann", "fail", "no role")),
        (
            {"roles": {"reader": READS - {Privilege("Collection", "docs", "Query")}}},
            ("access.missing", "test/role/reader", "fail", "not granted"),
        ),
        (
            {"users": {**RIGHT.users, "eve": ("admin",)}},
            ("access.extra", "test/user/eve", "fail", "there"),
        ),
        (
            {"roles": {**RIGHT.roles, "more": frozenset()}},
            ("access.extra", "test/role/more", "warn", "0 privileges"),
        ),
        (
            {"roles": {"reader": READS | {Privilege("Collection", "*", "Search")}}},
            ("access.widened", "test/role/reader", "fail", "Search on Collection *"),
        ),
        (
            {"users": {"ann": ("reader", "admin", "public")}},
            ("access.widened", "test/user/ann", "fail", "admin"),
        ),
        (
            {"elsewhere": {"reader": {"b": frozenset({Privilege("Global", "*", "DropDatabase")})}}},
            ("access.widened", "test/role/reader/b", "fail", "DropDatabase on Global *"),
        ),
    ],
)
def test_what_differs(found, changes, expected):
    told, code = found(replace(RIGHT, **changes))
    assert told == [expected]
    assert code == (0 if expected[2] == "warn" else 2)


def test_a_server_is_read_in_all_its_databases(spec_from, clean):
    cluster = MemoryCluster()
    cluster.databases["b"] = {}
    cluster.passwords["ann"], cluster.user_roles["ann"] = "x", {"reader"}
    elsewhere = Privilege("Global", "*", "All")
    cluster.roles["reader"] = {*(("default", p) for p in READS), ("b", elsewhere)}
    seen = probe_access(spec_from(DECLARED), cluster.connect(), clean).access
    assert seen.roles == RIGHT.roles
    assert seen.users["ann"] == ("reader",)
    assert seen.elsewhere == {"reader": {"b": frozenset({elsewhere})}}
    assert probe_access(spec_from(), cluster.connect(), clean).access is None
