"""Compares a deployment's manifests with a live cluster. Nothing is changed: applies are dry."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from kitestring.clients.kube.compare import (
    REPLICAS,
    additions,
    apply_manager,
    changes,
    creator,
    refused_changes,
    wanted_body,
)
from kitestring.clients.kube.connect import connect_for
from kitestring.clients.kube.protocol import FIELD_MANAGER, Kube, Object
from kitestring.errors import KubernetesDenied, KubernetesError, ManifestRejected
from kitestring.manifests.base import INSTANCE_LABEL, SECRETS_ANNOTATION, Bundle, Manifest
from kitestring.manifests.load import load_bundle
from kitestring.model.infra import (
    ChangedObject,
    ExtraObject,
    FieldChange,
    InfraSnapshot,
    NotReady,
    ObjectRef,
)
from kitestring.observe.readiness import not_ready
from kitestring.spec.loaded import LoadedSpec

_AT_ONCE = 8  # requests
_SCALED = ".".join(REPLICAS)
_FRESH = "-kitestring-dry-run"
# a stack's count, which is in no manifest
_COUNTED = f"spec.template.metadata.annotations.{SECRETS_ANNOTATION}"

# kinds that may carry the label of a deployment without being part of it any more
_LISTED: tuple[tuple[str, str], ...] = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("v1", "Service"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("v1", "PersistentVolumeClaim"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
)


@dataclass(slots=True)
class _Seen:
    """What one object came to."""

    missing: tuple[ObjectRef, ...] = ()
    changed: tuple[ChangedObject, ...] = ()
    not_ready: tuple[NotReady, ...] = field(default=())


def observe_infra(
    loaded: LoadedSpec,
    context: str | None = None,
    kubeconfig: str | None = None,
    *,
    strict: bool = False,
) -> InfraSnapshot:
    """The deployment of a spec against the cluster.

    Args:
        context, kubeconfig: None for those of the spec's `connection.kubernetes`.
        strict: raise where the cluster can't be compared, instead of a snapshot that says so.

    Raises:
        SpecInvalid: no manifests come from the spec.
        KubernetesError: `strict`, and the cluster can't be compared.
    """
    bundle = load_bundle(loaded)
    deployment = loaded.spec.deployment
    try:
        with connect_for(loaded, context, kubeconfig) as kube:
            return compare_bundle(
                bundle,
                kube,
                namespace=deployment.namespace if deployment else "",
                instance=loaded.spec.cluster.name,
            )
    except KubernetesError as error:
        if strict:
            raise
        return InfraSnapshot(available=False, reason=error.message)


def compare_bundle(bundle: Bundle, kube: Kube, *, namespace: str, instance: str) -> InfraSnapshot:
    """Sets every object of a bundle against the live one.

    Args:
        namespace: where the deployment is; extra objects are looked for there.
        instance: the value of the label that the deployment's objects carry.

    Raises:
        KubernetesUnreachable, KubernetesDenied, KubernetesError: the comparison can't be made.
    """
    start = time.monotonic()
    scaled = _autoscaled(bundle, kube, namespace)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        seen = list(pool.map(lambda manifest: _compare(manifest, kube, scaled), bundle.manifests))
        secrets = list(pool.map(lambda plan: _secret(plan, kube), bundle.secrets))
        listed = list(pool.map(lambda kind: _list(kind, kube, namespace, instance), _LISTED))
    known = {(m.kind, m.name) for m in bundle.manifests}
    known |= {("Secret", plan.name) for plan in bundle.secrets}
    return InfraSnapshot(
        available=True,
        target=kube.target,
        objects=len(bundle.manifests) + len(bundle.secrets),
        missing=tuple(ref for one in (*seen, *secrets) for ref in one.missing),
        changed=tuple(change for one in (*seen, *secrets) for change in one.changed),
        extra=tuple(
            _extra(one, namespace)
            for objects in listed
            for one in objects or ()
            if _belongs_to_none(one, known)
        ),
        not_ready=tuple(state for one in seen for state in one.not_ready),
        unseen=tuple(
            kind for (_, kind), objects in zip(_LISTED, listed, strict=True) if objects is None
        ),
        seconds=time.monotonic() - start,
    )


def reference(manifest: Manifest) -> ObjectRef:
    """The manifest's object as findings name it."""
    return ObjectRef(
        manifest.kind,
        manifest.name,
        manifest.namespace,
        manifest.component,
        tuple(manifest.spec_path),
    )


def _compare(manifest: Manifest, kube: Kube, scaled: frozenset[tuple[str, str]]) -> _Seen:
    ref = reference(manifest)
    live = kube.get(manifest.api_version, manifest.kind, manifest.name, manifest.namespace)
    if live is None or live["metadata"].get("deletionTimestamp"):
        return _Seen(missing=(ref,))
    ignore = manifest.ignore
    if (manifest.kind, manifest.name) in scaled:
        ignore = (*ignore, _SCALED)
    if manifest.kind in ("Deployment", "StatefulSet"):
        ignore = (*ignore, _COUNTED)
    body = wanted_body(manifest.body, live, ignore)
    after: Object | None = None
    rejected = ""
    try:
        after = kube.apply_dry_run(body, apply_manager(live, body, FIELD_MANAGER))
        found = changes(body, live, after, ignore)
    except ManifestRejected as error:
        rejected, found = error.message, refused_changes(body, live)
    added = additions(body, live, ignore, after=after)
    if added:  # rare: only now is it worth asking what the API server itself would fill in
        added = additions(body, live, ignore, after=after, fresh=_fresh(body, kube))
    every = tuple(dict.fromkeys((*found, *added)))
    changed = (ChangedObject(ref, every, rejected),) if every or rejected else ()
    return _Seen(changed=changed, not_ready=not_ready(ref, live, kube))


def _fresh(body: Mapping[str, Any], kube: Kube) -> Object | None:
    """The object as the API server would make it today, defaults and all."""
    name = str(body["metadata"]["name"])[: 50 - len(_FRESH)] + _FRESH
    try:
        return kube.apply_dry_run({**body, "metadata": {**body["metadata"], "name": name}})
    except ManifestRejected:
        return None


def _secret(plan: Any, kube: Kube) -> _Seen:
    """A Secret is there and has its keys; what their values are is nobody's business here."""
    ref = ObjectRef("Secret", plan.name, plan.namespace, plan.component, tuple(plan.spec_path))
    live = kube.get("v1", "Secret", plan.name, plan.namespace)
    if live is None:
        return _Seen(missing=(ref,))
    wanted = set(plan.entries)
    if plan.certificate is not None:
        wanted |= {"ca.crt", "tls.crt", "tls.key"}
    lacking = sorted(wanted - set(live.get("data") or {}))
    if not lacking:
        return _Seen()
    fields = tuple(FieldChange(f"data[{key}]", "(secret)", "") for key in lacking)
    return _Seen(changed=(ChangedObject(ref, fields),))


def _autoscaled(bundle: Bundle, kube: Kube, namespace: str) -> frozenset[tuple[str, str]]:
    """(kind, name) of the workloads whose replicas an autoscaler sets."""
    ours = [m.body for m in bundle.manifests if m.kind == "HorizontalPodAutoscaler"]
    live = kube.list("autoscaling/v2", "HorizontalPodAutoscaler", namespace)
    return frozenset(
        (str(target.get("kind")), str(target.get("name")))
        for scaler in (*ours, *live)
        for target in [scaler.get("spec", {}).get("scaleTargetRef", {})]
    )


def _list(
    kind: tuple[str, str], kube: Kube, namespace: str, instance: str
) -> Iterable[Object] | None:
    """None where this user may not list the kind."""
    try:
        return kube.list(*kind, namespace, labels=f"{INSTANCE_LABEL}={instance}")
    except KubernetesDenied:
        return None


def _belongs_to_none(live: Object, known: set[tuple[str, str]]) -> bool:
    metadata = live["metadata"]
    if (live["kind"], metadata["name"]) in known or metadata.get("deletionTimestamp"):
        return False
    # what a controller made goes with its owner; what Helm installed is its release's
    if any(owner.get("controller") for owner in metadata.get("ownerReferences") or ()):
        return False
    return (metadata.get("labels") or {}).get("app.kubernetes.io/managed-by") != "Helm"


def _extra(live: Object, namespace: str) -> ExtraObject:
    metadata = live["metadata"]
    component = (metadata.get("labels") or {}).get("app.kubernetes.io/component", "")
    manager, when = creator(live)
    ref = ObjectRef(live["kind"], metadata["name"], namespace, str(component).replace("-", "_"))
    return ExtraObject(ref, manager, when)
