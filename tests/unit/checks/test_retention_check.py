"""Backups that pile up, as literal findings."""

from __future__ import annotations

from dataclasses import replace

from kitestring.checks.registry import BY_ID

STORE = "  store: {type: local, path: backups}\n"


def told(loaded, snapshot):
    return [
        (f.severity.value, f.expected, f.observed, f.location.line)
        for f in BY_ID["backup.retention"].run(loaded, snapshot)
    ]


def test_no_retention_is_told_once_backups_pile_up(spec_from, clean):
    loaded, newest = spec_from(), clean.backups[0]
    assert told(loaded, clean) == []
    many = tuple(replace(newest, id=f"b{n}") for n in range(31))
    assert told(loaded, replace(clean, backups=many)) == [
        ("info", "`backup.retention` in the spec", "none", 19)
    ]
    assert told(loaded, replace(clean, backups=many[:30])) == []
    elsewhere = tuple(replace(s, cluster="elsewhere") for s in many)
    assert told(loaded, replace(clean, backups=elsewhere)) == []


def test_what_should_have_gone_is_told(spec_from, clean):
    loaded = spec_from((STORE, f"{STORE}  retention: {{last: 1}}\n"))
    assert told(loaded, clean) == []
    late = replace(clean, backups_overdue=tuple(f"b{n}" for n in range(7)))
    assert told(loaded, late) == [("warn", "removed", "7 still there", 21)]
    (finding,) = BY_ID["backup.retention"].run(loaded, late)
    assert "b0, b1, b2, b3, b4, …" in finding.message
    assert "backup prune" in finding.hint
    assert told(loaded, replace(late, backups=None)) == []
