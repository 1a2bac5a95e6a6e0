"""Drift detection: every check of a spec on one snapshot, and the report of it."""

from __future__ import annotations

from collections.abc import Sequence

from kitestring.checks.base import Check
from kitestring.checks.registry import select
from kitestring.model.finding import CheckRun, Finding, Severity, Verdict, verdict_of
from kitestring.model.report import DriftReport, NotRun
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

ROWS_NOT_WANTED = "rows were not to be read (--no-rows)"


def run_drift(
    loaded: LoadedSpec,
    snapshot: Snapshot,
    *,
    only: Sequence[str] = (),
    fail_on: Severity = Severity.FAIL,
    rows: bool = True,
) -> DriftReport:
    """Runs the checks; pure.

    Args:
        only: ids or families of checks; empty for all. What they require runs along.
        fail_on: the least severity that fails a check.
        rows: False leaves out the checks that need the row census; the report names them.

    Raises:
        UsageError: `only` names something that is no check.
    """
    chosen = select(only)
    found: dict[str, tuple[Finding, ...]] = {
        check.id: tuple(check.run(loaded, snapshot))
        for check in chosen
        if rows or not check.info.rows
    }
    return DriftReport(
        cluster=loaded.spec.cluster.name,
        spec_file=str(loaded.file),
        fail_on=fail_on,
        runs=tuple(_judged(check, loaded, found, fail_on) for check in chosen if check.id in found),
        not_run=tuple(
            NotRun(check.id, ROWS_NOT_WANTED) for check in chosen if check.id not in found
        ),
        snapshot=snapshot,
    )


def detect(
    loaded: LoadedSpec,
    *,
    only: Sequence[str] = (),
    fail_on: Severity = Severity.FAIL,
    rows: bool = True,
) -> DriftReport:
    """Observes the spec's cluster and runs the checks. Rows are read only if a check needs them.

    Raises:
        UsageError: `only` names something that is no check; nothing was observed then.
        MilvusError, LocalNotRunning, SecretMissing: the server could not be observed, or went
            away in the middle. There is no report then.
    """
    needs_rows = rows and any(check.info.rows for check in select(only))
    from kitestring.clients.milvus.connect import connect
    from kitestring.observe import observe

    with connect(loaded) as milvus:
        snapshot = observe(loaded, milvus, rows=needs_rows)
    return run_drift(loaded, snapshot, only=only, fail_on=fail_on, rows=rows)


def _judged(
    check: Check,
    loaded: LoadedSpec,
    found: dict[str, tuple[Finding, ...]],
    fail_on: Severity,
) -> CheckRun:
    """A check that finds nothing has not passed if what it requires was not there to look at."""
    mine = found[check.id]
    verdict, reason = verdict_of(mine, fail_on), ""
    if verdict is Verdict.PASS:
        blocking = [
            name
            for name in check.requires
            if verdict_of(found.get(name, ()), Severity.FAIL) is not Verdict.PASS
        ]
        if blocking:
            verdict, reason = Verdict.INCONCLUSIVE, f"see {', '.join(blocking)}"
    return CheckRun(check.id, loaded.spec.cluster.name, verdict, mine, check.info.title, reason)
