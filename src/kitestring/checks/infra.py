"""Infrastructure: what is live on Kubernetes against what the spec's `deployment` gives."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kitestring.checks.base import check, command
from kitestring.model.finding import Finding, Location, Severity
from kitestring.model.infra import ChangedObject, FieldChange, InfraSnapshot, ObjectRef
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

OBSERVED = "infra.observed"
_FORBIDDEN = "; the API server would not take the spec's value in place"
# objects of these kinds run something, or let somebody in
_ACTIVE = frozenset(
    {
        "CronJob",
        "DaemonSet",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "NetworkPolicy",
        "Role",
        "RoleBinding",
        "Service",
        "StatefulSet",
    }
)


def observed(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the live cluster (or the stack's state) could be read at all."""
    infra = snapshot.infra
    if infra is not None and infra.available:
        return
    reason = infra.reason if infra is not None else "it was not read"
    yield Finding(
        OBSERVED,
        Severity.FAIL,
        loaded.spec.cluster.name,
        f"what is live on Kubernetes could not be compared: {reason}",
        hint="name the cluster by --context and --kubeconfig, or `connection.kubernetes`",
        location=loaded.locate("deployment"),
        inconclusive=True,
    )


def missing(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Objects of the deployment that are not there."""
    infra = _infra(snapshot)
    if infra is None:
        return
    if infra.missing and len(infra.missing) == infra.objects:
        deployment = loaded.spec.deployment
        yield Finding(
            "infra.missing",
            Severity.FAIL,
            loaded.spec.cluster.name,
            f"nothing of the deployment is there, in {infra.target}",
            expected=f"{infra.objects} objects"
            + (f" in the namespace `{deployment.namespace}`" if deployment else ""),
            observed="none",
            hint="`pulumi up`, or name the right cluster by --context",
            location=loaded.locate("deployment"),
        )
        return
    for ref in infra.missing:
        yield Finding(
            "infra.missing",
            Severity.FAIL,
            _subject(loaded, ref),
            "it is not there",
            expected=f"a {ref.kind} `{ref.name}`",
            observed="none",
            hint="`pulumi up` makes it again",
            location=_location(loaded, ref),
        )


def changed(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Fields that the spec declares and that somebody has changed."""
    for seen, change in _changes(snapshot):
        if not change.declared or change.origin == "spec":
            continue
        if change.origin == "hand":
            message = f"somebody changed it{_writer(change)}"
        elif not change.observed:
            message = "it was taken away, or has not been applied yet: nothing tells who"
        else:
            message = "it is not what the spec gives"
        yield _field_finding(
            loaded,
            "infra.changed",
            seen,
            change,
            message,
            hint="`pulumi up` sets it back; to keep it, write it into the spec",
        )


def pending(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """What the deployment would look like by the spec as it is now, but nobody has applied it."""
    for seen, change in _changes(snapshot):
        if change.origin != "spec":
            continue
        yield _field_finding(
            loaded,
            "infra.pending",
            seen,
            change,
            f"the spec gives another value than what was deployed{_writer(change)}",
            hint="`pulumi preview` shows the whole change, `pulumi up` applies it",
        )
    infra = _infra(snapshot)
    for seen in infra.changed if infra else ():
        if seen.rejected and not seen.changes:
            yield Finding(
                "infra.pending",
                Severity.FAIL,
                _subject(loaded, seen.ref),
                f"the spec's version can't be applied: {seen.rejected}",
                location=_location(loaded, seen.ref),
            )


def added(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Fields that the spec does not speak of and that somebody wrote."""
    for seen, change in _changes(snapshot):
        if change.declared or change.origin == "spec":
            continue
        ref, note = seen.ref, change.path.startswith("metadata.")
        space = f"-n {ref.namespace} " if ref.namespace else ""
        yield _field_finding(
            loaded,
            "infra.added",
            seen,
            change,
            f"somebody added it{_writer(change)}",
            severity=Severity.WARN if note else Severity.FAIL,
            hint=f"an apply leaves it alone: take it away by `kubectl {space}edit "
            f"{ref.kind.lower()}/{ref.name}`, or write it into the spec",
        )


def extra(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Objects that carry the deployment's label and are not part of it."""
    infra = _infra(snapshot)
    if infra is None:
        return
    for one in infra.extra:
        ref = one.ref
        space = f"-n {ref.namespace} " if ref.namespace else ""
        delete = f"`kubectl {space}delete {ref.kind.lower()}/{ref.name}`"
        data = ref.kind in ("PersistentVolumeClaim", "Secret")
        yield Finding(
            "infra.extra",
            Severity.FAIL if ref.kind in _ACTIVE else Severity.WARN,
            _subject(loaded, ref),
            "it says that it belongs to this deployment, and the spec does not give it"
            + (f": made by {one.manager}" if one.manager else ""),
            expected="none",
            observed=f"a {ref.kind}",
            hint=f"it may hold data: look first, then {delete}" if data else delete,
            location=loaded.locate("deployment"),
        )
    if infra.unseen:
        yield Finding(
            "infra.extra",
            Severity.WARN,
            loaded.spec.cluster.name,
            f"these kinds could not be listed: {', '.join(infra.unseen)}",
            hint="grant `list` on them in the namespace of the deployment",
            location=loaded.locate("deployment"),
            inconclusive=True,
        )


def not_ready(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Workloads without all of their pods, claims without all of their volume."""
    infra = _infra(snapshot)
    for one in infra.not_ready if infra else ():
        space = f"-n {one.ref.namespace} " if one.ref.namespace else ""
        yield Finding(
            "infra.not-ready",
            Severity.FAIL,
            _subject(loaded, one.ref),
            one.reason or "it is not as it wants to be",
            expected=one.wanted,
            observed=one.observed,
            hint=f"`kubectl {space}describe {one.ref.kind.lower()}/{one.ref.name}`",
            location=_location(loaded, one.ref),
        )


def _infra(snapshot: Snapshot) -> InfraSnapshot | None:
    infra = snapshot.infra
    return infra if infra is not None and infra.available else None


def _changes(snapshot: Snapshot) -> Iterator[tuple[ChangedObject, FieldChange]]:
    infra = _infra(snapshot)
    for seen in infra.changed if infra else ():
        for change in seen.changes:
            yield seen, change


def _field_finding(
    loaded: LoadedSpec,
    check_id: str,
    seen: ChangedObject,
    change: FieldChange,
    message: str,
    *,
    hint: str,
    severity: Severity = Severity.FAIL,
) -> Finding:
    refused = bool(seen.rejected) and change.declared
    return Finding(
        check_id,
        severity,
        f"{_subject(loaded, seen.ref)}/{change.path}",
        message + (_FORBIDDEN if refused else ""),
        expected=change.expected or "none",
        observed=change.observed or "none",
        hint=f"{command(loaded, 'provision preflight')} says what can be done" if refused else hint,
        location=_location(loaded, seen.ref),
    )


def _writer(change: FieldChange) -> str:
    if not change.manager:
        return ""
    return f": written by {change.manager}" + (f" at {change.at}" if change.at else "")


def _subject(loaded: LoadedSpec, ref: ObjectRef) -> str:
    return f"{loaded.spec.cluster.name}/{ref}"


def _location(loaded: LoadedSpec, ref: ObjectRef) -> Location:
    return loaded.locate(*(ref.spec_path or ("deployment",)))


def _unasked(loaded: LoadedSpec) -> str:
    if loaded.spec.deployment is None:
        return "has no `deployment`: there is no infrastructure to compare"
    return ""


_check = partial(check, unasked=_unasked)

CHECKS = (
    _check(
        OBSERVED,
        "What is live on Kubernetes could be read",
        observed,
        meaning="Infrastructure is compared by a server-side dry run of every object, or from "
        "what `pulumi` prints. Where neither can be had, nothing is known of it. Specs without "
        "`deployment` have no infrastructure to compare, and these checks are left out.",
        cause="No kubeconfig or context, an API server that does not answer, or a user without "
        "the right to read and dry-run.",
        mend="Name the cluster by `--context` and `--kubeconfig` or in `connection.kubernetes`; "
        "the user needs `get`, `list` and `patch` on the objects of the namespace.",
    ),
    _check(
        "infra.missing",
        "Every object of the deployment is there",
        missing,
        meaning="An object that the spec gives is not in the cluster.",
        cause="It was deleted by hand, or the deployment was never applied, or only in part.",
        mend="`pulumi up`, or apply what `kitestring provision render` prints.",
        requires=(OBSERVED,),
    ),
    _check(
        "infra.changed",
        "Nobody has changed what the spec declares",
        changed,
        meaning="A field that the spec gives has another value in the cluster, and it was not "
        "written by what deployed it. The finding says who wrote it, and when. The number of "
        "replicas that an autoscaler sets and what the API server fills in are not compared.",
        cause="`kubectl edit`, `scale`, `set`, `label`; another tool; a controller.",
        mend="`pulumi up` sets it back; or write the change into the spec, to keep it.",
        requires=(OBSERVED,),
    ),
    _check(
        "infra.pending",
        "The spec has been applied",
        pending,
        meaning="What deployed a field wrote another value than the spec gives today.",
        cause="The spec, or Kitestring itself, was changed and not applied since.",
        mend="`pulumi preview`, then `pulumi up`.",
        requires=(OBSERVED,),
    ),
    _check(
        "infra.added",
        "Nobody has added to what the spec declares",
        added,
        meaning="A field of which the spec says nothing was written by another hand: a variable, "
        "a grace period, a setting. Labels and annotations are a warning.",
        cause="`kubectl edit`, `set env`, `patch`; a tool that annotates what it sees.",
        mend="Take it away by hand (an apply leaves alone what it does not own), or write it "
        "into the spec.",
        requires=(OBSERVED,),
    ),
    _check(
        "infra.extra",
        "Nothing else claims to belong to the deployment",
        extra,
        meaning="An object carries the deployment's label and is not part of it. A workload, "
        "Service, policy or role is a failure; what holds data or settings a warning.",
        cause="Made by hand from a copy, or left from a former spec, such as the volume of a "
        "replica that is no more.",
        mend="Delete it, once nobody needs what it holds.",
        requires=(OBSERVED,),
    ),
    _check(
        "infra.not-ready",
        "Workloads have all of their pods, and claims all of their volume",
        not_ready,
        meaning="Fewer pods are ready than the workload asks for, a rollout is on its way, or a "
        "volume is smaller than its claim.",
        cause="Images that can't be pulled, too little room on the nodes, pods that crash, a "
        "storage class that does not expand.",
        mend="`kubectl describe` and `kubectl logs` of what the finding names.",
        requires=(OBSERVED,),
    ),
)
