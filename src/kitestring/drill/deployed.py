"""A drill's server on Kubernetes, made from the spec's deployment: see `drill.space` for where."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
from kitestring.drill.space import BETWEEN, Space, Tell
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
from kitestring.manifests.drill_target import target_bundle, target_spec
from kitestring.model.backup import BackupManifest
from kitestring.model.infra import ObjectRef
from kitestring.observe.readiness import not_ready
from kitestring.provision.credentials import secret_manifest, values
from kitestring.provision.root_password import ensure_root_password
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.types import SecretRef

READY = 900.0  # seconds that images may take to be pulled, volumes to be bound, pods to start


@contextmanager
def deployed(
    source: LoadedSpec,
    space: Space,
    manifest: BackupManifest,
    *,
    keep: bool = False,
    tell: Tell = lambda _line: None,
) -> Iterator[Standing]:
    """One server with its own etcd and MinIO; all of it is gone when the block ends.

    Raises:
        DrillRefused: the spec has no `deployment`, the namespace is somebody's, or the server is
            the source.
        DrillFailed: it does not become ready, or something of it is left.
        KubernetesUnreachable, KubernetesDenied, ManifestRejected, KubernetesError.
    """
    target = _target(source, space, manifest.bytes)
    way, bundle = way_of(target), target_bundle(target.spec)
    with _kube(way) as kube:
        space.take(kube, bundle, tell)
        done = False
        try:
            _apply(kube, bundle, space.name, tell)
            _open(kube, target, way, space.name)
            store, root = open_segment_store(target)
            with open_way(way) as server:
                _refuse_source(source, server, Endpoint(way.address, place=(store, root)), manifest)
                yield Standing(
                    RestoreTarget(server, store, root, disposable=True, admin=server.admin),
                    "kubernetes",
                    access=True,
                    left=f"the target still runs in the namespace {space.name} of {kube.target}; "
                    f"`{space.end()}` ends it"
                    if keep
                    else "",
                )
            done = True
        finally:
            if not (keep and done):
                with shielded():
                    space.leave(kube, bundle, tell)


def discard(source: LoadedSpec, space: Space) -> None:
    """Has the server of a drill removed, and waits for nothing; for a drill that is cut off."""
    target = _target(source, space, 0)
    with suppress(KitestringError), _kube(way_of(target)) as kube:
        space.discard(kube, target_bundle(target.spec))


def require_deployment(source: LoadedSpec) -> None:
    """Raises DrillRefused where the spec has no `deployment`."""
    if source.spec.deployment is None:
        raise DrillRefused(
            f"{source.file} has no `deployment`: nothing says what the drill's server on "
            "Kubernetes would be",
            hint="describe it in the spec, or drill without --target kubernetes",
        )


def _target(source: LoadedSpec, space: Space, size: int) -> LoadedSpec:
    require_deployment(source)
    spec = target_spec(source.spec, space.name, size, there=space.kept)
    return dataclasses.replace(source, spec=spec)


def _kube(way: Way) -> KubeClient:
    if way.forward is None:
        raise ValueError("a drill's deployment is reached by a port-forward")
    return connect_kube(way.forward.context, way.forward.kubeconfig)


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
            wait_until(ready, timeout=READY, what=one.key, longest=BETWEEN)
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
        wait_until(answers, timeout=READY, what="the server", longest=BETWEEN)
    except MilvusError:
        raise DrillFailed(
            f"the drill's server is ready and does not answer: {''.join(last)}", subject=namespace
        ) from None
