"""Drift detection: every check of a spec on one snapshot, and the report of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from kitestring.checks.base import Check
from kitestring.checks.registry import select
from kitestring.errors import UsageError
from kitestring.model.finding import CheckRun, Finding, Severity, Verdict, verdict_of
from kitestring.model.infra import InfraSnapshot
from kitestring.model.report import DriftReport, NotRun
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

INFRA = "infra"  # the family of checks that look at Kubernetes
NOT_OBSERVED = "not observed"
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
        UsageError: `only` names something that is no check, or that this spec has nothing for.
    """
    chosen = applicable(loaded, only)
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


def applicable(loaded: LoadedSpec, only: Sequence[str] = ()) -> tuple[Check, ...]:
    """The checks that `only` names, as far as the spec has something for them to look at.

    Raises:
        UsageError: `only` names something that is no check, or that this spec has nothing for.
    """
    chosen = select(only)
    if loaded.spec.deployment is not None:
        return chosen
    left = tuple(check for check in chosen if check.info.family != INFRA)
    if chosen and not left:
        raise UsageError(
            f"{loaded.file} has no `deployment`: there is no infrastructure to compare",
            hint="infra/clusters/dev.yaml shows a spec that has one",
            subject="deployment",
        )
    return left


def detect(
    loaded: LoadedSpec,
    *,
    only: Sequence[str] = (),
    fail_on: Severity = Severity.FAIL,
    rows: bool = True,
    infra: InfraSnapshot | None = None,
    context: str | None = None,
    kubeconfig: str | None = None,
) -> DriftReport:
    """Observes the spec's cluster and runs the checks. Rows are read only if a check needs them,
    Kubernetes only if the spec has a `deployment`, Milvus only for checks of what is in it.

    Args:
        infra: what was observed of the infrastructure, where it is not to be read from the
            cluster (it comes from Pulumi).
        context, kubeconfig: the Kubernetes cluster; None for that of `connection.kubernetes`,
            then the current context.

    Raises:
        UsageError: `only` names something that is no check; nothing was observed then.
        MilvusError, LocalNotRunning, SecretMissing: the server could not be observed, or went
            away in the middle. There is no report then.
        KubernetesError: only infrastructure was asked for, and it could not be observed.
    """
    chosen = applicable(loaded, only)
    wants_infra = any(check.info.family == INFRA for check in chosen)
    wants_milvus = any(check.info.family != INFRA for check in chosen)
    if wants_infra and infra is None:
        from kitestring.observe.infra import observe_infra

        infra = observe_infra(loaded, context, kubeconfig, strict=not wants_milvus)
    if wants_milvus:
        needs_rows = rows and any(check.info.rows for check in chosen)
        from kitestring.clients.milvus.connect import connect
        from kitestring.observe import observe

        with connect(loaded) as milvus:
            snapshot = replace(observe(loaded, milvus, rows=needs_rows), infra=infra)
    else:
        snapshot = Snapshot(
            cluster=loaded.spec.cluster.name,
            server_version=NOT_OBSERVED,
            taken_at=int(time.time() * 1000),
            collections={},
            infra=infra,
            seconds=infra.seconds if infra else 0.0,
        )
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
