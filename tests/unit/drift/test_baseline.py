"""Baselines: CI fails for what is new, and nothing hides behind them that was not there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kitestring.drift import run_drift
from kitestring.drift.baseline import read_baseline, write_baseline
from kitestring.errors import BaselineMismatch, BaselineUnreadable
from kitestring.model.finding import Severity
from kitestring.model.snapshot import Tally
from kitestring.render.formats import FORMATS, rendered_drift


@pytest.fixture
def kept(spec_from, tmp_path):
    """Writes the baseline of a snapshot and reads it back."""

    def make(snapshot, **options):
        loaded = spec_from()
        file = tmp_path / "baseline.json"
        write_baseline(file, run_drift(loaded, snapshot, **options), loaded)
        return loaded, read_baseline(file, loaded)

    return make


def test_only_what_is_new_fails(kept, with_docs):
    old = with_docs(census={"orphan": Tally(1, ("o",))})
    loaded, baseline = kept(old)
    report = run_drift(loaded, old, baseline=baseline)
    assert (report.exit_code, report.finding_counts["baseline"]) == (0, 1)
    new = with_docs(census={"orphan": Tally(1, ("o",)), "stale": Tally(2, ("s",))})
    report = run_drift(loaded, new, baseline=baseline)
    assert (report.exit_code, [f.check for f in report.counted]) == (2, ["rows.stale"])


def test_a_finding_that_has_grown_says_so(kept, with_docs):
    loaded, baseline = kept(with_docs(census={"orphan": Tally(1, ("o",))}))
    more = with_docs(census={"orphan": Tally(900, ("o",))})
    (finding,) = run_drift(loaded, more, baseline=baseline).findings
    assert str(finding.accepted) == "in the baseline: it was 1 row then"


def test_a_finding_that_is_graver_counts(kept, with_docs):
    loaded, baseline = kept(with_docs(census={"orphan": Tally(1, ("o",))}))
    milder = replace(baseline, entries=tuple(
        replace(e, severity=Severity.WARN) for e in baseline.entries
    ))  # fmt: skip
    again = with_docs(census={"orphan": Tally(1, ("o",))})
    assert run_drift(loaded, again, baseline=milder).exit_code == 2


def test_what_could_not_be_told_is_never_in_a_baseline(kept, with_docs):
    blind = with_docs(census={"complete": False, "reason": "away"})
    loaded, baseline = kept(blind)
    assert baseline.entries == ()
    assert run_drift(loaded, blind, baseline=baseline).exit_code == 3


@pytest.mark.parametrize("output", FORMATS)
def test_what_is_gone_is_told(kept, with_docs, clean, output):
    loaded, baseline = kept(with_docs(census={"orphan": Tally(1, ("o",))}))
    report = run_drift(loaded, clean, baseline=baseline)
    assert [e.check for e in report.gone] == ["rows.orphan"]
    text = rendered_drift(report, output)
    assert "gone" in text.lower() or '"baselineState": "absent"' in text or output == "junit"
    # not looked for, or not to be told: not gone
    blind = with_docs(census={"complete": False, "reason": "away"})
    assert run_drift(loaded, blind, baseline=baseline).gone == ()
    assert run_drift(loaded, clean, only=["alias"], baseline=baseline).gone == ()


def test_writing_anew_keeps_what_was_not_looked_for(kept, with_docs, clean, tmp_path):
    loaded, baseline = kept(with_docs(indexes=(), census={"orphan": Tally(1, ("o",))}))
    assert [e.check for e in baseline.entries] == ["index.missing", "rows.orphan"]
    report = run_drift(loaded, clean, only=["index"], baseline=baseline)
    made = write_baseline(tmp_path / "baseline.json", report, loaded, baseline)
    assert [e.check for e in made.entries] == ["rows.orphan"]


def test_a_suppressed_finding_stays_out(spec_from, with_docs, tmp_path):
    text = "[{check: rows.orphan, reason: r, until: 2027-06-30}]"
    loaded = spec_from(("objectives:", f"suppressions: {text}\nobjectives:"))
    report = run_drift(loaded, with_docs(census={"orphan": Tally(1, ("o",))}))
    assert write_baseline(tmp_path / "b.json", report, loaded).entries == ()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"cluster": "other"}, BaselineMismatch, "of the cluster `other`, not of `test`"),
        ({"spec": "other.yaml"}, BaselineMismatch, "of the spec `other.yaml`"),
        ({"schema_version": 9}, BaselineUnreadable, "version 9"),
        ({"kind": "else"}, BaselineUnreadable, "is no baseline"),
        ({"findings": [{}]}, BaselineUnreadable, "is no baseline"),
        ({"findings": None}, BaselineUnreadable, "is no baseline"),
    ],
)
def test_a_baseline_that_is_refused(kept, clean, tmp_path, change, error, said):
    loaded, _ = kept(clean)
    file = tmp_path / "baseline.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    before = file.read_text()
    with pytest.raises(error, match=said):
        read_baseline(file, loaded)
    with pytest.raises(error):  # nor is it written over
        write_baseline(file, run_drift(loaded, clean), loaded)
    assert file.read_text() == before


def test_no_file_and_no_json(spec_from, tmp_path):
    with pytest.raises(BaselineUnreadable, match="there is no baseline"):
        read_baseline(tmp_path / "none.json", spec_from())
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(BaselineUnreadable, match="is no baseline"):
        read_baseline(tmp_path / "bad.json", spec_from())
