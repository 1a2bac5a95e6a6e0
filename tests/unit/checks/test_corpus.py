"""The corpus against the ledger, told from what was observed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.drift.run import applicable, run_drift
from kitestring.model.corpus import CorpusSeen
from kitestring.model.finding import Verdict
from kitestring.model.tally import Tally

ASKED = ("aliases: [current]", "aliases: [current]\n    corpus: {path: texts, tenant: one}")


@pytest.fixture
def told(spec_from, clean):
    def tell(**seen):
        observed = replace(clean.collections["docs"], corpus=CorpusSeen("/texts", "one", **seen))
        snapshot = replace(clean, collections={"docs": observed})
        return run_drift(spec_from(ASKED), snapshot, only=["corpus"])

    return tell


def test_a_corpus_that_is_as_ingested(told):
    report = told(documents=4)
    assert report.exit_code == 0
    assert {run.verdict for run in report.runs if run.check.startswith("corpus")} == {Verdict.PASS}


@pytest.mark.parametrize(
    ("kind", "check", "prune"),
    [("new", "not-ingested", False), ("changed", "changed", False), ("gone", "gone", True)],
)
def test_each_kind_is_told_by_its_check_alone(told, kind, check, prune):
    report = told(**{kind: Tally(1200, ("a.md", "b.md"))})
    (finding,) = report.findings
    assert (finding.check, finding.severity, finding.observed) == (
        f"corpus.{check}", "fail", "1,200 documents",
    )  # fmt: skip
    assert "`one`" in finding.message
    assert "for example a.md, b.md" in finding.message
    assert ("--prune" in finding.hint) is prune
    assert "--tenant one" in finding.hint
    assert report.exit_code == 2


def test_a_corpus_that_could_not_be_read_is_inconclusive(told):
    report = told(problem="texts is not there", new=Tally(3))
    assert report.exit_code == 3
    (finding,) = report.findings
    assert (finding.check, finding.inconclusive) == ("corpus.read", True)
    assert "texts is not there" in finding.message


def test_a_spec_without_a_corpus_is_left_alone(spec_from):
    assert not [c for c in applicable(spec_from()) if c.info.family == "corpus"]
    assert BY_ID["corpus.gone"].requires == ("schema.missing-collection", "corpus.read")
