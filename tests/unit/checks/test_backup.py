"""The backup blindspot, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.model.drill import DrillSummary

HOUR = 3_600_000
CHECKS = [name for name in BY_ID if name.startswith("backup.")]


def told(loaded, snapshot):
    """(check, severity or inconclusive, expected, observed) of all backup checks."""
    return [
        (f.check, "inconclusive" if f.inconclusive else f.severity.value, f.expected, f.observed)
        for name in CHECKS
        for f in BY_ID[name].run(loaded, snapshot)
    ]


def with_backup(clean, **changes):
    return replace(clean, backups=(replace(clean.backups[0], **changes),))


def drill(clean, hours, passed=True, name="d9"):
    return DrillSummary(name, "b1", clean.taken_at - hours * HOUR, passed, 1.0, 1.0)


def test_clean(spec_from, clean):
    assert told(spec_from(), clean) == []


@pytest.mark.parametrize("others", [(), ("elsewhere",)])
def test_none(spec_from, clean, others):
    backups = tuple(replace(clean.backups[0], cluster=name) for name in others)
    assert told(spec_from(), replace(clean, backups=backups)) == [
        ("backup.none", "fail", "at least one backup", "none")
    ]


def test_a_catalog_that_cannot_be_read(spec_from, clean):
    away = replace(clean, backups=None, backups_error="the bucket is not there")
    assert told(spec_from(), away) == [
        ("backup.none", "inconclusive", "a catalog that can be read", "unknown")
    ]
    (finding,) = BY_ID["backup.none"].run(spec_from(), away)
    assert "the bucket is not there" in finding.message
    assert finding.location.line == 20


def test_a_spec_without_backup(spec_from, clean):
    loaded = spec_from(("backup:\n  store: {type: local, path: backups}\n", ""))
    assert told(loaded, clean) == [("backup.none", "warn", "`backup` in the spec", "none")]


def test_unreadable_is_never_a_backup(spec_from, clean):
    broken = with_backup(clean, readable=False, problem="the manifest is cut short")
    assert told(spec_from(), broken) == [
        ("backup.none", "fail", "at least one backup", "none"),
        ("backup.unreadable", "fail", "a manifest that can be read", "the manifest is cut short"),
    ]


@pytest.mark.parametrize(("hours", "late"), [(24, False), (25, True)])
def test_age(spec_from, clean, hours, late):
    snapshot = with_backup(clean, boundary=clean.taken_at - hours * HOUR)
    expected = [("backup.too-old", "fail", "at most 1d old", "25h old")] if late else []
    assert told(spec_from(), snapshot) == expected


def test_a_young_backup_that_is_not_verified_does_not_hide_an_old_one_that_is(spec_from, clean):
    old = replace(clean.backups[0], id="b0", boundary=clean.taken_at - 30 * HOUR)
    young = replace(clean.backups[0], id="b2", verified_at=None)
    snapshot = replace(clean, backups=(young, old))
    assert told(spec_from(), snapshot) == [
        ("backup.too-old", "fail", "at most 1d old", "30h old"),
        ("backup.unverified", "warn", "verified or drilled", "neither"),
    ]


def test_a_passed_drill_proves_a_backup(spec_from, clean):
    assert told(spec_from(), with_backup(clean, verified_at=None)) == []
    failed = replace(with_backup(clean, verified_at=None), drills=(drill(clean, 1, passed=False),))
    assert [c for c, *_ in told(spec_from(), failed)] == ["backup.unverified", "backup.not-drilled"]


def test_a_boundary_in_the_future(spec_from, clean):
    snapshot = with_backup(clean, boundary=clean.taken_at + HOUR)
    assert told(spec_from(), snapshot) == [
        ("backup.too-old", "inconclusive", "at most 1d old", "a boundary in the future")
    ]


@pytest.mark.parametrize(
    ("drills", "observed"),
    [
        ([], "none"),
        ([(24 * 8, True)], "8d ago"),
        ([(1, False), (24, True)], "failed 60m ago"),
    ],
)
def test_not_drilled(spec_from, clean, drills, observed):
    made = tuple(drill(clean, hours, passed, f"d{n}") for n, (hours, passed) in enumerate(drills))
    assert told(spec_from(), replace(clean, drills=made)) == [
        ("backup.not-drilled", "fail", "a passed drill every 1w", observed)
    ]
    (finding,) = BY_ID["backup.not-drilled"].run(spec_from(), replace(clean, drills=made))
    assert finding.location.line == 21


def test_a_drill_in_the_future(spec_from, clean):
    snapshot = replace(clean, drills=(drill(clean, -48),))
    assert told(spec_from(), snapshot) == [
        ("backup.not-drilled", "inconclusive", "a passed drill every 1w", "a drill in the future")
    ]


def test_coverage(spec_from, clean):
    assert told(spec_from(), with_backup(clean, collections=("other",))) == [
        ("backup.coverage", "fail", "in the newest backup", "not in it")
    ]


def test_without_objectives_the_age_is_held_to_nothing(spec_from, clean):
    loaded = spec_from(("objectives: {rpo: 24h, rto: 10m, drill_every: 7d}\n", ""))
    old = replace(with_backup(clean, boundary=0), drills=())
    assert told(loaded, old) == [("backup.too-old", "info", "`objectives` in the spec", "none")]
