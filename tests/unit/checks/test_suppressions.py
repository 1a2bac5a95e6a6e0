"""Suppressions of the spec: what they hide from the exit code, and when they no longer do."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kitestring.cli import cli, run
from kitestring.drift import run_drift
from kitestring.errors import SpecInvalid
from kitestring.model.finding import Severity
from kitestring.model.snapshot import Tally
from kitestring.render.formats import FORMATS, rendered_drift

LATER, BEFORE = "2027-06-30", "2027-01-14"  # the clean snapshot is of 2027-01-15


@pytest.fixture
def suppressing(spec_from):
    """A spec with suppressions: `suppressing({"check": "alias.drift"}, …)`."""

    def make(*entries):
        defaults = {"reason": "known: ticket 7", "until": LATER}
        text = json.dumps([{**defaults, **entry} for entry in entries])  # JSON is YAML
        return spec_from(("objectives:", f"suppressions: {text}\nobjectives:"))

    return make


def ended(report, check):
    return next(r.verdict.value for r in report.runs if r.check == check)


def test_a_suppressed_finding_is_shown_and_does_not_count(suppressing, clean):
    loaded = suppressing({"check": "alias.drift", "subject": "test/docs"})
    report = run_drift(loaded, replace(clean, aliases={}))
    (finding,) = report.findings
    assert (report.exit_code, report.finding_counts["suppressed"]) == (0, 1)
    assert ended(report, "alias.drift") == "pass"
    assert finding.accepted.reason == "known: ticket 7"
    assert finding.accepted.location.line == 21


@pytest.mark.parametrize("output", FORMATS)
def test_every_format_tells_of_it(suppressing, clean, output):
    report = run_drift(suppressing({"check": "alias.drift"}), replace(clean, aliases={}))
    text = rendered_drift(report, output)
    assert "suppressed" in text or '"suppressions": [\n' in text
    if output != "prometheus":
        assert "known: ticket 7" in text


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"subject": "test/docs"}, 0),
        ({"subject": "test/docs/"}, 0),
        ({"subject": "test"}, 0),
        ({"subject": "test/doc"}, 2),
        ({"subject": "other/docs"}, 2),
        ({"until": "2027-01-15"}, 0),  # that day is over at its midnight
        ({"until": BEFORE}, 2),
    ],
)
def test_what_a_suppression_covers(suppressing, with_docs, entry, code):
    loaded = suppressing({"check": "rows.orphan", **entry})
    report = run_drift(loaded, with_docs(census={"orphan": Tally(1, ("o",))}))
    assert report.exit_code == code


def test_a_suppression_that_is_over_is_a_finding(suppressing, clean):
    loaded = suppressing({"check": "alias.drift", "until": BEFORE})
    report = run_drift(loaded, replace(clean, aliases={}))
    assert {f.check: f.severity.value for f in report.findings} == {
        "alias.drift": "fail",
        "spec.suppression-expired": "warn",
    }
    told = report.findings[1]
    assert BEFORE in told.message
    assert told.location.line == 21
    # what it hid is mended: it still has to go
    assert run_drift(loaded, clean, fail_on=Severity.WARN).exit_code == 2


def test_a_suppression_of_nothing_is_a_warning(suppressing, clean):
    loaded = suppressing({"check": "alias.drift", "subject": "test/other"})
    report = run_drift(loaded, replace(clean, aliases={}))
    assert [f.check for f in report.findings] == ["alias.drift", "spec.suppression-unused"]
    assert run_drift(loaded, clean).exit_code == 0
    assert run_drift(loaded, clean, fail_on=Severity.WARN).exit_code == 2


def test_a_check_that_was_not_run_says_nothing_of_its_suppression(suppressing, clean, with_docs):
    loaded = suppressing({"check": "rows.orphan"})
    for report in (
        run_drift(loaded, clean, only=["alias", "spec"]),
        run_drift(loaded, with_docs(census={"complete": False}), only=["rows", "spec"]),
    ):
        assert "spec.suppression-unused" not in [f.check for f in report.findings]


def test_what_could_not_be_told_is_suppressed_only_in_so_many_words(suppressing, with_docs):
    blind = with_docs(census={"complete": False, "reason": "away"})
    assert run_drift(suppressing({"check": "rows.scan"}), blind).exit_code == 3
    report = run_drift(suppressing({"check": "rows.scan", "inconclusive": True}), blind)
    assert report.exit_code == 0
    # what needed the rows has not passed
    left = {one.check: one.reason for one in report.not_run}
    assert left["rows.missing"] == "what it needs is accepted as it is: see rows.scan"
    assert "rows.missing" not in [r.check for r in report.runs]


def test_a_fault_found_behind_a_suppressed_one_still_counts(suppressing, with_docs):
    blind = with_docs(census={"complete": False, "reason": "away", "orphan": Tally(1, ("o",))})
    report = run_drift(suppressing({"check": "rows.scan", "inconclusive": True}), blind)
    assert (report.exit_code, ended(report, "rows.orphan")) == (2, "fail")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"check": "alias.drft"}, ":21:69: suppressions[0].check: there is no such check"),
        ({"check": "alias.drft"}, "did you mean `alias.drift`?"),
        ({"check": "spec.suppression-expired"}, "can't be suppressed"),
        ({"check": "alias"}, "the id of a check, such as index.drift"),
        ({"until": "2027-02-30"}, "not a day of the calendar"),
        ({"until": "31.1.2027"}, "not a day of the calendar"),
        ({"reason": " "}, "say why this is accepted"),
    ],
)
def test_a_spec_that_suppresses_wrongly(suppressing, clean, capsys, entry, said):
    with pytest.raises(SpecInvalid) as caught:
        run_drift(suppressing({"check": "alias.drift", **entry}), clean)
    assert said in caught.value.message


def test_the_same_twice(suppressing, clean):
    with pytest.raises(SpecInvalid, match="suppressed twice"):
        run_drift(suppressing({"check": "alias.drift"}, {"check": "alias.drift"}), clean)


def test_spec_check_knows_the_checks(suppressing, capsys):
    file = suppressing({"check": "alias.drft"}).file
    assert run(cli, ["spec", "check", str(file)], "kitestring") == 1
    assert "did you mean `alias.drift`?" in capsys.readouterr().out
