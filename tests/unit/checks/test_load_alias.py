"""Load state, replicas and aliases, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID


def found(check, loaded, snapshot):
    """(subject, severity, expected, observed) of every finding of a check."""
    return [
        (f.subject, f.severity.value, f.expected, f.observed)
        for f in BY_ID[check].run(loaded, snapshot)
    ]


def test_clean(spec_from, clean):
    for check in ("load.state", "load.replicas", "alias.drift"):
        assert found(check, spec_from(), clean) == []


@pytest.mark.parametrize(("state", "severity"), [("NotLoad", "fail"), ("Loading", "warn")])
def test_not_loaded(spec_from, with_docs, state, severity):
    snapshot = with_docs(load_state=state, replicas=0)
    assert found("load.state", spec_from(), snapshot) == [("test/docs", severity, "loaded", state)]
    assert found("load.replicas", spec_from(), snapshot) == []
    (finding,) = BY_ID["load.state"].run(spec_from(), snapshot)
    assert finding.location.line == 17


def test_loaded_against_the_spec(spec_from, clean, with_docs):
    loaded = spec_from(("{loaded: true, replicas: 1}", "{loaded: false}"))
    assert found("load.state", loaded, clean) == [("test/docs", "warn", "released", "Loaded")]
    assert found("load.state", loaded, with_docs(load_state="NotLoad")) == []


def test_replicas(spec_from, clean, with_docs):
    two = spec_from(("replicas: 1", "replicas: 2"))
    assert found("load.replicas", two, clean) == [("test/docs", "fail", "2", "1")]
    assert found("load.replicas", two, with_docs(replicas=2)) == []
    assert found("load.replicas", two, with_docs(replicas=3)) == [("test/docs", "warn", "2", "3")]


def test_alias(spec_from, clean):
    for aliases, observed in (({}, "none"), ({"current": "old"}, "old")):
        assert found("alias.drift", spec_from(), replace(clean, aliases=aliases)) == [
            ("test/docs/alias/current", "fail", "docs", observed)
        ]
    (finding,) = BY_ID["alias.drift"].run(spec_from(), replace(clean, aliases={}))
    assert finding.location.line == 18


def test_an_alias_that_the_spec_does_not_mention_is_a_warning(spec_from, clean):
    more = replace(clean, aliases={"current": "docs", "beta": "docs", "other": "elsewhere"})
    assert found("alias.drift", spec_from(), more) == [
        ("test/docs/alias/beta", "warn", "none", "docs")
    ]
