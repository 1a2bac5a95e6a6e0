"""Retrieval quality, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.drift import run_drift
from kitestring.model.retrieval import Calibration, Gone, Interval, RetrievalSeen

ASKED = (
    "    load: {loaded: true",
    "    golden: golden.yaml\n    retrieval: {minimum: 0.8, hybrid: true}\n    load: {loaded: true",
)
MADE = Calibration("docs", "words@1", "COSINE", 0.5, 0.9, 0.8, 0.9, 40, "0" * 64, 1)
ONE = Interval(1.0, 1.0, 1.0)
GOOD = RetrievalSeen(40, 10, Interval(0.9, 0.85, 0.95), ONE, calibration=MADE)


@pytest.fixture
def found(spec_from, clean):
    def run(seen):
        docs = replace(clean.collections["docs"], retrieval=seen)
        report = run_drift(
            spec_from(ASKED), replace(clean, collections={"docs": docs}), only=["retrieval"]
        )
        return [
            (f.check, "?" if f.inconclusive else f.severity.value) for f in report.findings
        ], report.exit_code

    return run


def test_left_out_where_nobody_asks(spec_from, clean):
    assert not [r for r in run_drift(spec_from(), clean).runs if r.check.startswith("retrieval")]


@pytest.mark.parametrize(
    ("seen", "expected", "code"),
    [
        (GOOD, [], 0),
        (None, [("retrieval.calibrated", "?")], 3),
        (RetrievalSeen(reason="it is not loaded"), [("retrieval.calibrated", "?")], 3),
        (
            replace(GOOD, hits=None, calibration=None, uncalibrated="no score"),
            [("retrieval.calibrated", "?")],
            3,
        ),
        (
            replace(GOOD, hits=Interval(0.5, 0.4, 0.6)),
            [("retrieval.hit-rate", "fail")],
            2,
        ),
        (
            replace(GOOD, hits=Interval(0.8, 0.7, 0.9)),
            [("retrieval.hit-rate", "?")],
            3,
        ),
        (
            replace(GOOD, gone=(Gone("where?", ("a.md",), True),)),
            [("retrieval.golden-gone", "warn")],
            0,
        ),
        (replace(GOOD, gain=Interval(0.01, -0.1, 0.1)), [], 0),
        (replace(GOOD, gain=Interval(0.2, 0.1, 0.3)), [("retrieval.hybrid", "info")], 0),
    ],
)
def test_findings(found, seen, expected, code):
    assert found(seen) == (expected, code)
