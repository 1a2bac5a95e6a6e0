"""Drift detection: every check of a spec on one snapshot, and the report of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from kitestring.checks.base import Check
from kitestring.checks.registry import refuse_unknown, select
from kitestring.drift.judge import judge
from kitestring.errors import UsageError
from kitestring.model.baseline import Baseline
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Severity, Verdict
from kitestring.model.infra import InfraSnapshot
from kitestring.model.report import DriftReport
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

INFRA = "infra"  # the family of checks that look at Kubernetes
NOT_OBSERVED = "not observed"


def run_drift(
    loaded: LoadedSpec,
    snapshot: Snapshot,
    *,
    only: Sequence[str] = (),
    fail_on: Severity = Severity.FAIL,
    without: Collection[Evidence] = (),
    baseline: Baseline | None = None,
) -> DriftReport:
    """Runs the checks; pure.

    Args:
        only: ids or families of checks; empty for all. What they require runs along.
        fail_on: the least severity that fails a check.
        without: evidence that was not taken: the checks that need it are left out, and the report
            names them.
        baseline: findings that are not to count again.

    Raises:
        UsageError: `only` names something that is no check, or that this spec has nothing for.
        SpecInvalid: a suppression names something that is no check.
    """
    chosen = applicable(loaded, only, without)
    runs, not_run = judge(loaded, snapshot, chosen, fail_on, without, baseline)
    decided = [run.check for run in runs if run.verdict is not Verdict.INCONCLUSIVE]
    findings = [finding for run in runs for finding in run.findings]
    return DriftReport(
        cluster=loaded.spec.cluster.name,
        spec_file=str(loaded.file),
        fail_on=fail_on,
        runs=runs,
        not_run=not_run,
        snapshot=snapshot,
        checks=tuple(check.info for check in chosen),
        baseline=baseline.file if baseline else "",
        gone=tuple(baseline.gone(findings, decided)) if baseline else (),
    )


def applicable(
    loaded: LoadedSpec, only: Sequence[str] = (), without: Collection[Evidence] = ()
) -> tuple[Check, ...]:
    """The checks that `only` names, as far as the spec has something for them to look at.

    Raises:
        UsageError: `only` names something that is no check, that this spec has nothing for, or
            that `without` leaves out.
        SpecInvalid: a suppression names something that is no check.
    """
    refuse_unknown(loaded)
    chosen = select(only)
    asked = tuple(check for check in chosen if not check.unasked(loaded))
    # what is required runs along, and is no answer to who named another check
    names = {name.removesuffix(".*") for name in only}
    meant = [c for c in chosen if not names or names & {c.id, c.info.family}]
    if not any(check in asked for check in meant):
        raise UsageError(
            f"{loaded.file} {meant[0].unasked(loaded)}",
            hint="docs/reference/spec.md tells what may be asked for",
            subject=meant[0].id,
        )
    if names and not any(c.info.evidence not in without for c in meant if c in asked):
        raise UsageError(
            f"nothing is left of {', '.join(only)} without {', '.join(sorted(without))}",
            hint="leave one of `--only` and `--without` out",
        )
    return asked


def detect(
    loaded: LoadedSpec,
    *,
    only: Sequence[str] = (),
    fail_on: Severity = Severity.FAIL,
    without: Collection[Evidence] = (),
    baseline: Baseline | None = None,
    infra: InfraSnapshot | None = None,
    context: str | None = None,
    kubeconfig: str | None = None,
    via: str = "auto",
    on: str | None = None,
) -> DriftReport:
    """Observes the spec's cluster and runs the checks. Evidence is taken only if a check needs it,
    Kubernetes only if the spec has a `deployment`, Milvus only for checks of what is in it.

    Args:
        baseline: findings that are not to count again.
        infra: what was observed of the infrastructure, where it is not to be read from the
            cluster (it comes from Pulumi).
        context, kubeconfig: the Kubernetes cluster; None for that of `connection.kubernetes`,
            then the current context.
        via, on: how rows are read, and on what; see `kitestring.observe.reading.Reading`.

    Raises:
        UsageError: `only` names something that is no check; nothing was observed then.
        MilvusError, LocalNotRunning, SecretMissing: the server could not be observed, or went
            away in the middle. There is no report then.
        KubernetesError: only infrastructure was asked for, and it could not be observed.
    """
    from kitestring.clients.kube.connect import with_flags

    loaded = with_flags(loaded, context, kubeconfig)
    chosen = applicable(loaded, only, without)
    wants_infra = any(check.info.family == INFRA for check in chosen)
    wants_milvus = any(check.info.family != INFRA for check in chosen)
    if wants_infra and infra is None:
        from kitestring.observe.infra import observe_infra

        infra = observe_infra(loaded, context, kubeconfig, strict=not wants_milvus)
    if wants_milvus:
        needed = {one for check in chosen if (one := check.info.evidence)}.difference(without)
        from kitestring.clients.milvus.connect import connect
        from kitestring.observe import observe
        from kitestring.observe.reading import Reading

        with connect(loaded) as milvus:
            seen = observe(loaded, milvus, wanted=needed, reading=Reading(via, on))
            snapshot = replace(seen, infra=infra)
    else:
        snapshot = Snapshot(
            cluster=loaded.spec.cluster.name,
            server_version=NOT_OBSERVED,
            taken_at=int(time.time() * 1000),
            collections={},
            infra=infra,
            seconds=infra.seconds if infra else 0.0,
        )
    return run_drift(
        loaded, snapshot, only=only, fail_on=fail_on, without=without, baseline=baseline
    )
