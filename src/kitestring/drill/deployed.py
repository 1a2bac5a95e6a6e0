"""A drill's server on Kubernetes: made from the spec's deployment, in a namespace by itself."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from kitestring.backup.interrupts import shielded
from kitestring.backup.restore import RestoreTarget
from kitestring.clients.kube.client import KubeClient
from kitestring.clients.kube.connect import connect as connect_kube
from kitestring.clients.kube.protocol import Kube
from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.milvus.connect import open_way
from kitestring.clients.milvus.waiting import wait_until
from kitestring.clients.milvus.way import Way, way_of
from kitestring.clients.store.connect import open_segment_store
from kitestring.drill.identity import (
    Endpoint,
    endpoint_of,
    refuse_full,
    refuse_same_collections,
    refuse_source,
)
from kitestring.drill.standing import Standing
from kitestring.errors import (
    DrillFailed,
    DrillRefused,
    KitestringError,
    KubernetesError,
    MilvusError,
    ServerUnreachable,
)
from kitestring.manifests.base import Bundle, Manifest, SecretPlan
from kitestring.manifests.drill_target import LABEL, target_bundle, target_spec
from kitestring.model.backup import BackupManifest
from kitestring.model.infra import ObjectRef
from kitestring.observe.readiness import not_ready
from kitestring.provision.credentials import secret_manifest, values
from kitestring.provision.root_password import ensure_root_password
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.types import SecretRef

READY = 900.0  # seconds that images may take to be pulled, volumes to be bound, pods to start
GONE = 300.0  # seconds that a namespace may take to go
_ABANDONED = 2 * 86400.0  # seconds after which nobody can be at work in a drill's namespace
_BETWEEN = 2.0  # seconds at most between two looks at the pods

Tell = Callable[[str], None]


@contextmanager
def deployed(
    source: LoadedSpec,
    namespace: str,
    manifest: BackupManifest,
    *,
    keep: bool = False,
    tell: Tell = lambda _line: None,
) -> Iterator[Standing]:
    """One server with its own etcd and MinIO; all of it is gone when the block ends.

    Args:
        namespace: see `new_namespace`.

    Raises:
        DrillRefused: the spec has no `deployment`, the namespace is somebody's, or the server is
            the source.
        DrillFailed: it does not become ready, or something of it is left.
        KubernetesUnreachable, KubernetesDenied, ManifestRejected, KubernetesError.
    """
    target = _target(source, namespace, manifest.bytes)
    way = way_of(target)
    with _kube(way) as kube:
        for old in _abandoned(kube):
            tell(f"removing {old}, which a killed drill has left")
            _delete(kube, old)
        _refuse_taken(kube, namespace)
        done = False
        try:
            _apply(kube, target_bundle(target.spec), namespace, tell)
            _open(kube, target, way, namespace)
            store, root = open_segment_store(target)
            with open_way(way) as server:
                _refuse_source(source, server, Endpoint(way.address, place=(store, root)), manifest)
                yield Standing(
                    RestoreTarget(server, store, root, disposable=True, admin=server.admin),
                    "kubernetes",
                    access=True,
                    left=f"the target still runs in the namespace {namespace} of {kube.target}; "
                    f"`kubectl delete namespace {namespace}` ends it"
                    if keep
                    else "",
                )
            done = True
        finally:
            if not (keep and done):
                with shielded():
                    _remove(kube, namespace, tell)


def discard(source: LoadedSpec, namespace: str) -> None:
    """Has the namespace of a drill deleted, and waits for nothing; for a drill that is cut off."""
    with suppress(KitestringError), _kube(way_of(_target(source, namespace, 0))) as kube:
        _delete(kube, namespace)


def _target(source: LoadedSpec, namespace: str, size: int) -> LoadedSpec:
    if source.spec.deployment is None:
        raise DrillRefused(
            f"{source.file} has no `deployment`: nothing says what the drill's server on "
            "Kubernetes would be",
            hint="describe it in the spec, or drill without --target kubernetes",
        )
    return dataclasses.replace(source, spec=target_spec(source.spec, namespace, size))


def _kube(way: Way) -> KubeClient:
    if way.forward is None:
        raise ValueError("a drill's deployment is reached by a port-forward")
    return connect_kube(way.forward.context, way.forward.kubeconfig)


def _refuse_taken(kube: Kube, namespace: str) -> None:
    if kube.get("v1", "Namespace", namespace) is not None:
        raise DrillRefused(
            f"the namespace {namespace} is there already on {kube.target}: a drill removes what "
            "it is in, and takes none that is another's",
            subject=namespace,
        )


def _refuse_source(
    source: LoadedSpec, server: MilvusServer, endpoint: Endpoint, manifest: BackupManifest
) -> None:
    refuse_source(endpoint_of(source), endpoint)
    refuse_same_collections(server, endpoint.uri, [c.id for c in manifest.collections])
    refuse_full(endpoint, server.list_collections())


def _apply(kube: Kube, bundle: Bundle, namespace: str, tell: Tell) -> None:
    """Makes everything, each component when those are ready that it comes after."""
    secrets_made = False
    for component in bundle.components:
        made = bundle.of(component)
        earlier = {name for m in made for name in m.after}
        for name in bundle.components:
            if name in earlier:
                _await(kube, bundle.of(name))
        if component != "namespace" and not secrets_made:
            secrets_made = True
            for plan in bundle.secrets:
                kube.apply(_secret(plan))
        tell(f"{namespace}: {component}")
        for one in made:
            kube.apply(one.body)
    for component in bundle.components:
        _await(kube, bundle.of(component))


def _secret(plan: SecretPlan) -> Mapping[str, Any]:
    def unknown(reference: SecretRef) -> str:
        raise DrillFailed(f"the drill's server needs no secret of the spec, such as {reference}")

    return secret_manifest(plan, values(plan, None, unknown))


def _await(kube: Kube, made: tuple[Manifest, ...]) -> None:
    for one in made:
        why = ""

        def ready(one: Manifest = one) -> bool:
            nonlocal why
            live = kube.get(one.api_version, one.kind, one.name, one.namespace)
            ref = ObjectRef(one.kind, one.name, one.namespace)
            waits = () if live is None else not_ready(ref, live, kube)
            why = f"{ref}: {waits[0].reason}" if waits else ""
            return live is not None and not waits

        try:
            wait_until(ready, timeout=READY, what=one.key, longest=_BETWEEN)
        except MilvusError:
            raise DrillFailed(
                f"the drill's server did not become ready within {READY:g} s: {why or one.key}",
                hint="--keep does not keep what never stood: see the events of the namespace while "
                "the drill runs",
                subject=one.key,
            ) from None


def _open(kube: Kube, target: LoadedSpec, way: Way, namespace: str) -> None:
    """Waits for the server to answer, and takes the default password from it."""
    secret = kube.secret(namespace, f"{target.spec.cluster.name}-root") or {}
    last: list[str] = []

    def answers() -> bool:
        try:
            ensure_root_password(way, secret["password"])
        except (ServerUnreachable, KubernetesError) as error:
            last[:] = [error.message]
            return False
        return True

    try:
        wait_until(answers, timeout=READY, what="the server", longest=_BETWEEN)
    except MilvusError:
        raise DrillFailed(
            f"the drill's server is ready and does not answer: {''.join(last)}", subject=namespace
        ) from None


def _remove(kube: Kube, namespace: str, tell: Tell) -> None:
    """Deletes the namespace and waits until it is gone, with its volumes.

    Raises:
        DrillFailed: it is not gone.
    """
    volumes = [
        str(claim["spec"]["volumeName"])
        for claim in kube.list("v1", "PersistentVolumeClaim", namespace)
        if claim["spec"].get("volumeName")
    ]
    kept = [name for name in volumes if not _let_go(kube, name)]
    _delete(kube, namespace)
    tell(f"waiting for {namespace} to be gone")
    gone = partial(_gone, kube, namespace)
    try:
        wait_until(gone, timeout=GONE, what=namespace, longest=_BETWEEN)
    except MilvusError:
        raise DrillFailed(
            f"the drill's namespace {namespace} is being deleted, and still there after {GONE:g} s",
            hint=f"`kubectl get namespace {namespace} -o yaml` says what keeps it",
            subject=namespace,
        ) from None
    if kept:
        tell(f"the volumes {', '.join(kept)} are kept by their storage class: delete them by hand")


def _gone(kube: Kube, namespace: str) -> bool:
    return kube.get("v1", "Namespace", namespace) is None


def _let_go(kube: Kube, volume: str) -> bool:
    """Whether a volume goes with its claim; where its class keeps it, that is changed."""
    try:
        found = kube.get("v1", "PersistentVolume", volume)
        if found is not None and found["spec"].get("persistentVolumeReclaimPolicy") == "Retain":
            freed = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
            kube.patch("v1", "PersistentVolume", volume, None, freed)
    except KubernetesError:
        return False
    return True


def _delete(kube: Kube, namespace: str) -> None:
    """Deletes a namespace if it is a drill's."""
    found = kube.get("v1", "Namespace", namespace)
    if found is not None and LABEL in (found["metadata"].get("labels") or {}):
        kube.delete("v1", "Namespace", namespace)


def _abandoned(kube: Kube) -> list[str]:
    """Namespaces that killed drills have left."""
    found = []
    for one in kube.list("v1", "Namespace"):
        made = (one["metadata"].get("labels") or {}).get(LABEL, "")
        if made.isdigit() and time.time() - int(made) > _ABANDONED:
            found.append(str(one["metadata"]["name"]))
    return found
