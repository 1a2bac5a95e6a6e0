"""From a snapshot to verdicts: run the checks, accept what is known, judge. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from kitestring.checks.base import Check
from kitestring.checks.suppressions import accept
from kitestring.model.baseline import Baseline
from kitestring.model.evidence import Evidence
from kitestring.model.finding import CheckRun, Finding, Severity, Verdict, verdict_of
from kitestring.model.report import NotRun
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

NOT_WANTED = "left out by --without {}"
ACCEPTED = "what it needs is accepted as it is: see {}"

Found = Mapping[str, tuple[Finding, ...]]


def judge(
    loaded: LoadedSpec,
    snapshot: Snapshot,
    chosen: Sequence[Check],
    fail_on: Severity,
    without: Collection[Evidence],
    baseline: Baseline | None,
) -> tuple[tuple[CheckRun, ...], tuple[NotRun, ...]]:
    """Runs the chosen checks, and says how each ended; and why those did not run that did not."""

    def accepted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
        told = accept(loaded, findings, snapshot.taken_at)
        return tuple(baseline.accept(f) if baseline else f for f in told)

    wanted = [check for check in chosen if check.info.evidence not in without]
    found = {check.id: accepted(check.run(loaded, snapshot)) for check in wanted}
    runs: dict[str, CheckRun] = {}
    left: dict[str, NotRun] = {
        check.id: NotRun(check.id, NOT_WANTED.format(check.info.evidence))
        for check in chosen
        if check.id not in found
    }
    for check in wanted:
        if check.review is None:
            ended = _judged(check, loaded, found, fail_on)
            if isinstance(ended, NotRun):
                left[check.id] = ended
            else:
                runs[check.id] = ended
    for check in wanted:
        if check.review is not None:
            mine = accepted(check.review(loaded, snapshot, dict(runs)))
            runs[check.id] = _run(check, loaded, verdict_of(mine, fail_on), mine)
    return tuple(runs.values()), tuple(left.values())


def _judged(check: Check, loaded: LoadedSpec, found: Found, fail_on: Severity) -> CheckRun | NotRun:
    """A check that finds nothing has not passed if what it requires was not there to look at.
    Where that itself is accepted, nothing can be said, and nothing more is asked."""
    mine = found[check.id]
    verdict = verdict_of(mine, fail_on)
    if verdict is Verdict.PASS:
        blocking = [name for name in check.requires if _blocks(found.get(name, ()))]
        if blocking:
            reason = f"see {', '.join(blocking)}"
            return _run(check, loaded, Verdict.INCONCLUSIVE, mine, reason)
        known = [name for name in check.requires if _blocks(_bare(found.get(name, ())))]
        if known and not mine:
            return NotRun(check.id, ACCEPTED.format(", ".join(known)))
    return _run(check, loaded, verdict, mine)


def _blocks(findings: Iterable[Finding]) -> bool:
    return verdict_of(findings, Severity.FAIL) is not Verdict.PASS


def _bare(findings: Iterable[Finding]) -> list[Finding]:
    """The findings as if nothing accepted them."""
    return [replace(finding, accepted=None) for finding in findings]


def _run(
    check: Check,
    loaded: LoadedSpec,
    verdict: Verdict,
    findings: tuple[Finding, ...],
    reason: str = "",
) -> CheckRun:
    name = loaded.spec.cluster.name
    return CheckRun(check.id, name, verdict, findings, check.info.title, reason)
