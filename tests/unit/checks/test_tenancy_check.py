"""Leaks between tenants, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.model.tally import Tally
from kitestring.model.tenancy import IsolationSeen, Leak, Opened

ASKED = (
    "    load: {loaded: true",
    "    tenancy: field\n    isolation: {canaries: 2}\n    load: {loaded: true",
)


@pytest.fixture
def found(spec_from, clean):
    loaded = spec_from(ASKED)

    def run(check, seen):
        docs = replace(clean.collections["docs"], isolation=seen)
        snapshot = replace(clean, collections={"docs": docs})
        return [
            (f.subject, f.severity.value, f.inconclusive, f.observed)
            for f in BY_ID[check].run(loaded, snapshot)
        ]

    return run


CLEAN = IsolationSeen({"a": 9, "b": 3}, canaries=4, questions=6)


def test_only_where_the_spec_asks(spec_from):
    for check in ("tenancy.isolation", "tenancy.ownerless", "tenancy.access"):
        assert BY_ID[check].unasked(spec_from()) == "has no collection with `isolation`"
        assert BY_ID[check].unasked(spec_from(ASKED)) == ""


def test_clean(found):
    for check in ("tenancy.isolation", "tenancy.ownerless", "tenancy.access"):
        assert found(check, CLEAN) == []


def test_a_leak_names_who_got_whose_rows(found):
    leak = Leak("a", "b", "a search", Tally(2, ("k1", "k2")))
    assert found("tenancy.isolation", replace(CLEAN, leaks=(leak,))) == [
        ("test/docs/tenant/a", "fail", False, "2 rows")
    ]


def test_rows_of_nobody(found):
    assert found("tenancy.ownerless", replace(CLEAN, ownerless=Tally(1, ("k",)))) == [
        ("test/docs/tenant", "fail", False, "1 row")
    ]


def test_what_was_not_asked_is_no_pass(found):
    for seen in (None, IsolationSeen(reason="it is not loaded")):
        assert [x[1:3] for x in found("tenancy.isolation", seen)] == [("warn", True)]


def test_users(spec_from, clean):
    loaded = spec_from(
        (
            ASKED[0],
            "    tenancy: collection\n    isolation: {tenant: a, users: [ann]}\n" + ASKED[0],
        ),
        ("objectives:", "access: {users: [{name: ann, password: {env: ANN}}]}\nobjectives:"),
    )
    seen = IsolationSeen(
        {"a": 9}, opened=(Opened("ann", "collection b", "b"),), access_reason="bob: no password"
    )
    docs = replace(clean.collections["docs"], isolation=seen)
    findings = list(BY_ID["tenancy.access"].run(loaded, replace(clean, collections={"docs": docs})))
    assert [(f.severity.value, f.inconclusive) for f in findings] == [
        ("fail", False),
        ("warn", True),
    ]
    assert "`ann` of the tenant `a` could read collection b" in findings[0].message
