"""Suppressions of the spec: which findings they accept, and which of them are out of use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from kitestring.checks.base import Check, check
from kitestring.model.finding import (
    SUPPRESSED,
    Acceptance,
    CheckRun,
    Finding,
    Severity,
    Verdict,
)
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.problems import Problem, nearest
from kitestring.spec.suppression import Suppression

FAMILY = "spec"  # of the checks below, which can't be suppressed themselves
EXPIRED, UNUSED = "spec.suppression-expired", "spec.suppression-unused"


def problems(loaded: LoadedSpec, known: Collection[str]) -> Iterator[Problem]:
    """What is wrong with the suppressions of a valid spec.

    Args:
        known: the ids of all checks.
    """
    seen: set[tuple[str, str | None]] = set()
    for number, one in enumerate(loaded.spec.suppressions):
        path = ("suppressions", number, "check")
        position = loaded.positions.get(path)
        if one.check not in known:
            yield Problem(
                path, "there is no such check", one.check,
                suggestion=nearest(one.check, known), position=position,
            )  # fmt: skip
        elif one.check.split(".")[0] == FAMILY:
            message = "what is told of suppressions can't be suppressed"
            yield Problem(path, message, one.check, position=position)
        elif (one.check, one.subject) in seen:
            message = "this check is suppressed twice for the same subject"
            yield Problem(path, message, one.check, position=position)
        seen.add((one.check, one.subject))


def accept(loaded: LoadedSpec, findings: Iterable[Finding], taken_at: int) -> Iterator[Finding]:
    """The findings, those accepted that a suppression covers on the day of the snapshot.

    Args:
        taken_at: of the snapshot, in ms since the epoch.
    """
    standing = [
        (number, one)
        for number, one in enumerate(loaded.spec.suppressions)
        if not _expired(one, taken_at)
    ]
    for finding in findings:
        for number, one in standing:
            if _covers(one, finding):
                location = loaded.locate("suppressions", number)
                reason = Acceptance(SUPPRESSED, one.reason, one.until, location)
                yield replace(finding, accepted=reason)
                break
        else:
            yield finding


def expired(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Suppressions whose last day is over."""
    for number, one in enumerate(loaded.spec.suppressions):
        if _expired(one, snapshot.taken_at):
            yield _told(
                EXPIRED,
                loaded,
                number,
                f"the suppression of `{one.check}` was good until {one.until}: {one.reason}",
                f"a day not before {_day(snapshot.taken_at)}",
                one.until,
                "mend what it hid and remove it, or decide again and give it a new day",
            )


def unused(
    loaded: LoadedSpec, snapshot: Snapshot, runs: Mapping[str, CheckRun]
) -> Iterator[Finding]:
    """Suppressions that cover nothing that their check found."""
    for number, one in enumerate(loaded.spec.suppressions):
        run = runs.get(one.check)
        if run is None or run.verdict is Verdict.INCONCLUSIVE or _expired(one, snapshot.taken_at):
            continue
        if not any(_covers(one, finding) for finding in run.findings):
            where = one.subject or "any subject"
            yield _told(
                UNUSED,
                loaded,
                number,
                f"`{one.check}` found nothing for {where} that this suppression covers",
                "a finding that it covers",
                "none",
                "remove it; where the finding is another's, correct `subject`",
            )


def unasked(loaded: LoadedSpec) -> str:
    return "" if loaded.spec.suppressions else "has no `suppressions`"


def _covers(one: Suppression, finding: Finding) -> bool:
    return (
        one.check == finding.check
        and one.covers(finding.subject)
        and (one.inconclusive or not finding.inconclusive)
    )


def _expired(one: Suppression, taken_at: int) -> bool:
    return _day(taken_at) > one.until  # both are YYYY-MM-DD


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def _told(
    name: str,
    loaded: LoadedSpec,
    number: int,
    message: str,
    expected: str,
    observed: str,
    hint: str,
) -> Finding:
    one = loaded.spec.suppressions[number]
    return Finding(
        name,
        Severity.WARN,
        f"{loaded.spec.cluster.name}/suppressions/{one.check}"
        + (f"/{one.subject}" if one.subject else ""),
        message,
        expected=expected,
        observed=observed,
        hint=hint,
        location=loaded.locate("suppressions", number),
    )


CHECKS: tuple[Check, ...] = (
    check(
        EXPIRED,
        "No suppression of the spec is past its last day",
        expired,
        severity=Severity.WARN,
        unasked=unasked,
        meaning="A suppression in the spec has ended. What it covered counts again.",
        cause="The day in `until` is over, and nobody has decided anew.",
        mend="Mend what it hid and remove the suppression, or give it a new reason and a new day.",
    ),
    check(
        UNUSED,
        "Every suppression of the spec covers something",
        review=unused,
        severity=Severity.WARN,
        unasked=unasked,
        meaning="A suppression names a check that ran and found nothing that it covers. Left in "
        "the spec, it would hide the next finding of that kind.",
        cause="What it was written for has been mended, or its `subject` is not that of the "
        "finding.",
        mend="Remove it, or correct its `subject`: reports show the subject after the check's id.",
    ),
)
