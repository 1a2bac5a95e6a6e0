"""A drift report as values: which checks ran on one snapshot, and how each ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from kitestring.model.baseline import BaselineEntry
from kitestring.model.evidence import Evidence
from kitestring.model.finding import (
    BASELINE,
    EXIT_CODES,
    SUPPRESSED,
    CheckRun,
    Finding,
    Severity,
    Verdict,
)
from kitestring.model.snapshot import Snapshot

GROUPS = ("fail", "inconclusive", "warn", "info", SUPPRESSED, BASELINE)


@dataclass(frozen=True, slots=True)
class CheckInfo:
    """What a user reads about a check: one line, and what it means, comes from, and is mended by.

    `severity` is the worst that the check can say. `evidence` is what it needs beside definitions.
    """

    id: str
    title: str
    severity: Severity
    meaning: str
    cause: str
    mend: str
    evidence: Evidence | None = None

    @property
    def family(self) -> str:
        return self.id.split(".", 1)[0]


@dataclass(frozen=True, slots=True)
class NotRun:
    """A check that was left out, and why."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True)
class DriftReport:
    """All that one comparison of a spec and a snapshot has to say."""

    cluster: str
    spec_file: str
    fail_on: Severity
    runs: tuple[CheckRun, ...]
    not_run: tuple[NotRun, ...]
    snapshot: Snapshot
    checks: tuple[CheckInfo, ...] = ()  # the documentation of those that were run or left out
    baseline: str = ""  # its file; empty where there is none
    gone: tuple[BaselineEntry, ...] = ()  # in the baseline, looked for, and not found any more

    @property
    def server_version(self) -> str:
        return self.snapshot.server_version

    @property
    def taken_at(self) -> int:
        """When the snapshot was taken, in ms since the epoch."""
        return self.snapshot.taken_at

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, the gravest first; within a group in the order of the checks."""
        every = [f for run in self.runs for f in run.findings]
        return tuple(sorted(every, key=lambda f: GROUPS.index(group_of(f))))

    @property
    def counted(self) -> tuple[Finding, ...]:
        """The findings that neither a suppression nor a baseline accepts."""
        return tuple(f for f in self.findings if f.counts)

    def info(self, check: str) -> CheckInfo | None:
        """The documentation of a check."""
        return next((info for info in self.checks if info.id == check), None)

    def fails(self, finding: Finding) -> bool:
        """Whether a finding by itself gives an exit code other than 0."""
        grave = finding.inconclusive or finding.severity.rank >= self.fail_on.rank
        return finding.counts and grave

    @property
    def verdict(self) -> Verdict:
        """A failed check beats an inconclusive one, which beats a pass."""
        verdicts = {run.verdict for run in self.runs}
        return next(
            (v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE) if v in verdicts), Verdict.PASS
        )

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    @property
    def check_counts(self) -> Mapping[str, int]:
        """How many checks ended in each verdict; `not_run` beside them."""
        counts = Counter(run.verdict.value for run in self.runs)
        return {**{v.value: counts[v.value] for v in Verdict}, "not_run": len(self.not_run)}

    @property
    def finding_counts(self) -> Mapping[str, int]:
        """How many findings each group of `GROUPS` holds."""
        counts = Counter(group_of(f) for f in self.findings)
        return {group: counts[group] for group in GROUPS}


def group_of(finding: Finding) -> str:
    """The group a finding is shown in: its severity, `inconclusive`, or what accepts it."""
    if finding.accepted is not None:
        return finding.accepted.by
    return "inconclusive" if finding.inconclusive else finding.severity.value
