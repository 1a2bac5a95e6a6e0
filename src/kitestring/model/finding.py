"""Findings: what a check has to say, and how findings become an exit code."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class Severity(enum.StrEnum):
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        return ("info", "warn", "fail").index(self.value)


SUPPRESSED, BASELINE = "suppressed", "baseline"


class Verdict(enum.StrEnum):
    """How a check ended. Inconclusive is never a pass."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a spec file; line and column count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def as_dict(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line, "column": self.column}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Why a finding does not count: the spec suppresses it, or the baseline has it."""

    by: str  # `suppressed` or `baseline`, which is also the group it is shown in
    reason: str
    until: str = ""  # the last day of a suppression, YYYY-MM-DD in UTC
    location: Location | None = None  # of the suppression

    def __str__(self) -> str:
        if self.by == BASELINE:
            return f"in the baseline: {self.reason}"
        return f"suppressed until {self.until}: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "by": self.by,
            "reason": self.reason,
            "until": self.until,
            "location": None if self.location is None else self.location.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found, or could not find out (`inconclusive`)."""

    check: str  # stable id such as `embedding.model-mismatch`
    severity: Severity
    subject: str  # cluster/collection[/segment or row]
    message: str
    expected: str = ""
    observed: str = ""
    hint: str = ""
    location: Location | None = None
    inconclusive: bool = False
    accepted: Acceptance | None = None

    @property
    def counts(self) -> bool:
        """Whether it counts for the verdict and the exit code."""
        return self.accepted is None

    @property
    def fingerprint(self) -> str:
        """Stable across runs: check, subject and what was expected, not what was counted."""
        text = "\x1f".join((self.check, self.subject, self.expected, str(self.inconclusive)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "severity": self.severity.value,
            "verdict": (Verdict.INCONCLUSIVE if self.inconclusive else Verdict.FAIL).value,
            "subject": self.subject,
            "message": self.message,
            "expected": self.expected,
            "observed": self.observed,
            "hint": self.hint,
            "location": None if self.location is None else self.location.as_dict(),
            "fingerprint": self.fingerprint,
            "accepted": None if self.accepted is None else self.accepted.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class CheckRun:
    """One check that was run on one subject, and how it ended."""

    check: str
    subject: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    title: str = ""
    reason: str = ""  # why it is inconclusive without a finding of its own


def verdict_of(findings: Iterable[Finding], fail_on: Severity = Severity.FAIL) -> Verdict:
    """A failure beats an inconclusive check, which beats a pass. What is accepted counts for
    neither."""
    found = [f for f in findings if f.counts]
    if any(not f.inconclusive and f.severity.rank >= fail_on.rank for f in found):
        return Verdict.FAIL
    if any(f.inconclusive for f in found):
        return Verdict.INCONCLUSIVE
    return Verdict.PASS


EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 2, Verdict.INCONCLUSIVE: 3}


def aggregate_exit_code(codes: Iterable[int]) -> int:
    """1 beats 2 beats 3 beats 0."""
    seen = set(codes)
    return next((code for code in (1, 2, 3) if code in seen), 0)
