"""From findings to verdicts and exit codes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.drift import run_drift
from kitestring.errors import UsageError
from kitestring.model.evidence import ALL, Evidence
from kitestring.model.finding import Severity
from kitestring.model.snapshot import Tally


def verdicts(report):
    """Checks that did not pass, and how they ended."""
    return {r.check: (r.verdict.value, r.reason) for r in report.runs if r.verdict != "pass"}


def test_clean(spec_from, clean):
    loaded = spec_from()
    report = run_drift(loaded, clean)
    assert (report.verdict, report.exit_code, report.findings) == ("pass", 0, ())
    # the spec has no `deployment`: there is no infrastructure to compare
    mine = [name for name, one in BY_ID.items() if not one.unasked(loaded)]
    assert [r.check for r in report.runs] == mine
    assert report.not_run == ()
    assert dict(report.check_counts) == {
        "pass": len(mine),
        "fail": 0,
        "inconclusive": 0,
        "not_run": 0,
    }


def test_a_failure_beats_what_is_inconclusive(spec_from, with_docs):
    loaded = spec_from()
    blind = with_docs(census={"complete": False, "reason": "away"})
    assert run_drift(loaded, blind).exit_code == 3
    both = with_docs(census={"complete": False, "reason": "away"}, indexes=())
    report = run_drift(loaded, both)
    assert report.exit_code == 2
    assert [f.check for f in report.findings] == ["index.missing", "rows.scan"]


def test_fail_on(spec_from, clean):
    warned = replace(clean, aliases={**clean.aliases, "more": "docs"})
    assert run_drift(spec_from(), warned).exit_code == 0
    assert run_drift(spec_from(), warned, fail_on=Severity.WARN).exit_code == 2
    told = replace(clean, collections={**clean.collections, "x": clean.collections["docs"]})
    assert run_drift(spec_from(), told, fail_on=Severity.WARN).exit_code == 0


def test_rows_that_could_not_be_read_are_no_pass(spec_from, with_docs):
    report = run_drift(spec_from(), with_docs(census=None))
    blind = "see rows.scan"
    assert verdicts(report) == {
        "rows.scan": ("inconclusive", ""),
        "rows.unfinished": ("inconclusive", blind),
        "ledger.absent": ("inconclusive", blind),
        "rows.missing": ("inconclusive", blind),
        "rows.orphan": ("inconclusive", blind),
        "rows.stale": ("inconclusive", blind),
        "rows.duplicate": ("inconclusive", blind),
        "rows.duplicate-content": ("inconclusive", blind),
        "embedding.model-mismatch": ("inconclusive", blind),
        "chunking.mismatch": ("inconclusive", blind),
    }


def test_rows_that_were_not_wanted(spec_from, with_docs):
    loaded = spec_from()
    report = run_drift(loaded, with_docs(census=None), without=ALL)
    assert report.exit_code == 0
    assert [left.check for left in report.not_run] == [
        c.id for c in BY_ID.values() if c.info.evidence and not c.unasked(loaded)
    ]
    assert {left.reason for left in report.not_run} == {
        f"left out by --without {c.info.evidence}"
        for c in BY_ID.values()
        if c.info.evidence and not c.unasked(loaded)
    }


def test_a_collection_that_is_not_there_is_no_pass_for_any_family(spec_from, clean):
    nothing = replace(clean, collections={})
    for family in ("index", "load", "alias", "rows", "embedding", "chunking"):
        report = run_drift(spec_from(), nothing, only=[family])
        assert report.exit_code == 2, family
        assert all(r.verdict != "pass" for r in report.runs if r.check.startswith(family)), family


def test_only(spec_from, with_docs):
    broken = with_docs(indexes=(), load_state="NotLoad", census={"orphan": Tally(1)})
    report = run_drift(spec_from(), broken, only=["load"])
    assert [f.check for f in report.findings] == ["load.state"]
    with pytest.raises(UsageError):
        run_drift(spec_from(), broken, only=["lod"])


def test_what_is_asked_for_and_left_out_is_a_mistake_and_no_pass(spec_from, clean):
    for only in (["rows"], ["rows.stale", "chunking"]):
        with pytest.raises(UsageError, match="nothing is left of"):
            run_drift(spec_from(), clean, only=only, without=[Evidence.ROWS])
    report = run_drift(spec_from(), clean, only=["rows", "index"], without=[Evidence.ROWS])
    assert report.exit_code == 0
    assert "rows.stale" in {left.check for left in report.not_run}


def test_a_row_found_at_fault_counts_though_the_scan_was_not_complete(spec_from, with_docs):
    snapshot = with_docs(census={"complete": False, "orphan": Tally(1, ("o",))})
    report = run_drift(spec_from(), snapshot)
    assert report.exit_code == 2
    assert verdicts(report)["rows.orphan"] == ("fail", "")
    assert verdicts(report)["rows.missing"] == ("inconclusive", "see rows.scan")


def test_findings_come_the_gravest_first(spec_from, with_docs, clean):
    twice = with_docs(census={"ledger_rows": None}, replicas=2)
    snapshot = replace(
        twice,
        aliases={},
        backups=(),
        collections={
            **twice.collections,
            "zoo": clean.collections["docs"],
        },
    )
    report = run_drift(spec_from(), snapshot)
    assert [f.check for f in report.findings] == [
        "alias.drift",
        "backup.none",
        "ledger.absent",
        "load.replicas",
        "schema.unmanaged",
    ]
    assert dict(report.finding_counts) == {
        "fail": 2,
        "inconclusive": 1,
        "warn": 1,
        "info": 1,
        "suppressed": 0,
        "baseline": 0,
    }


def test_fingerprints_are_the_same_in_every_run(spec_from, with_docs):
    first, second = (
        run_drift(spec_from(), with_docs(census={"orphan": Tally(n, (str(n),))})) for n in (1, 2)
    )
    assert [f.fingerprint for f in first.findings] == [f.fingerprint for f in second.findings]


@pytest.mark.parametrize(
    "only", ["index.recall", "tenancy", "tenancy.*", "access", "capacity.rows"]
)
def test_what_a_spec_does_not_ask_for_is_no_pass_by_what_it_requires(spec_from, clean, only):
    with pytest.raises(UsageError, match="has no "):
        run_drift(spec_from(), clean, only=[only])
    assert run_drift(spec_from(), clean, only=["load", only]).exit_code == 0
