"""A baseline: the findings of an earlier run that a later one is not to fail for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from kitestring.model.finding import BASELINE, Acceptance, Finding, Severity


@dataclass(frozen=True, slots=True)
class BaselineEntry:
    """One finding, as it was when the baseline was written."""

    fingerprint: str
    check: str
    severity: Severity
    subject: str
    message: str
    observed: str = ""

    def as_dict(self) -> dict[str, str]:
        return {
            "fingerprint": self.fingerprint,
            "check": self.check,
            "severity": self.severity.value,
            "subject": self.subject,
            "message": self.message,
            "observed": self.observed,
        }


@dataclass(frozen=True)
class Baseline:
    """The findings of one cluster and spec. `spec` is the file's path within its repository, or
    its name outside of one; `taken_at` is ms since the epoch."""

    cluster: str
    spec: str
    taken_at: int
    entries: tuple[BaselineEntry, ...]
    file: str = ""

    @cached_property
    def _by_fingerprint(self) -> dict[str, BaselineEntry]:
        return {entry.fingerprint: entry for entry in self.entries}

    def accept(self, finding: Finding) -> Finding:
        """The finding, accepted where the baseline has it. What is graver than it was then, and
        what could not be told, is not."""
        entry = self._by_fingerprint.get(finding.fingerprint)
        if (
            entry is None
            or not finding.counts
            or finding.inconclusive
            or finding.severity.rank > entry.severity.rank
        ):
            return finding
        same = not entry.observed or entry.observed == finding.observed
        reason = "as it was" if same else f"it was {entry.observed} then"
        return replace(finding, accepted=Acceptance(BASELINE, reason))

    def gone(self, found: Iterable[Finding], looked_for: Iterable[str]) -> list[BaselineEntry]:
        """The entries of checks that came to a verdict (`looked_for`) and did not find them."""
        still, checks = {f.fingerprint for f in found}, set(looked_for)
        return [e for e in self.entries if e.check in checks and e.fingerprint not in still]


def baseline_entries(findings: Iterable[Finding]) -> tuple[BaselineEntry, ...]:
    """What a baseline keeps of a run: all that it found, and never what it could not find out.
    What the spec suppresses stays the spec's business."""
    kept = {
        f.fingerprint: BaselineEntry(
            f.fingerprint, f.check, f.severity, f.subject, f.message, f.observed
        )
        for f in findings
        if not f.inconclusive and (f.counts or (f.accepted and f.accepted.by == BASELINE))
    }
    return tuple(sorted(kept.values(), key=lambda e: (e.check, e.subject, e.fingerprint)))
