"""Verdicts, exit codes and fingerprints."""

from __future__ import annotations

import itertools

import pytest

from kitestring.model.finding import (
    Finding,
    Severity,
    Verdict,
    aggregate_exit_code,
    verdict_of,
)

FAIL = Finding("a.b", Severity.FAIL, "c/x", "broken", expected="1", observed="2")
WARN = Finding("a.b", Severity.WARN, "c/x", "odd")
BLIND = Finding("a.b", Severity.FAIL, "c/x", "not seen", inconclusive=True)


@pytest.mark.parametrize(
    ("findings", "fail_on", "verdict"),
    [
        ([], Severity.FAIL, Verdict.PASS),
        ([WARN], Severity.FAIL, Verdict.PASS),
        ([WARN], Severity.WARN, Verdict.FAIL),
        ([BLIND], Severity.FAIL, Verdict.INCONCLUSIVE),
        ([BLIND, WARN], Severity.FAIL, Verdict.INCONCLUSIVE),
        ([BLIND, FAIL], Severity.FAIL, Verdict.FAIL),
    ],
)
def test_verdict(findings: list[Finding], fail_on: Severity, verdict: Verdict) -> None:
    assert verdict_of(findings, fail_on) is verdict


def test_one_beats_two_beats_three_beats_zero() -> None:
    order = {1: 0, 2: 1, 3: 2, 0: 3}
    for codes in itertools.product((0, 1, 2, 3), repeat=3):
        assert aggregate_exit_code(codes) == min(codes, key=order.__getitem__)
    assert aggregate_exit_code([]) == 0


def test_fingerprint_is_stable_when_only_the_count_changes() -> None:
    later = Finding("a.b", Severity.FAIL, "c/x", "more broken", expected="1", observed="7")

    assert later.fingerprint == FAIL.fingerprint == "978357fd70204002"
    assert BLIND.fingerprint != FAIL.fingerprint
