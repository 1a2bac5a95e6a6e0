"""What the StatefulSets of etcd, MinIO and Kafka have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitestring.manifests import pods, volumes
from kitestring.manifests.base import Manifest, SpecPath
from kitestring.manifests.labels import deployment_of, labels, metadata, object_name, selector
from kitestring.spec.deployment import Volume
from kitestring.spec.models import Spec

AFTER = ("namespace", "network")
"""Components that are there before any pod: the namespace, and who may reach the pods."""

USER = 1000
"""The user and group that the pods run as; the volumes are given to the group."""


@dataclass(frozen=True, slots=True)
class Store:
    """A component that keeps data: one container, one volume for each pod, a headless Service."""

    component: str  # also the app's name and the container's
    replicas: int
    ports: Mapping[str, int]  # name -> port
    volume: Volume | None
    default_size: str  # of the volume, where the spec names none
    grace: int  # seconds that a pod may take to end
    spec_path: SpecPath


def host(spec: Spec, component: str, ordinal: int) -> str:
    """The DNS name of a pod, stable over its life; the cluster's domain is found by search."""
    name = object_name(spec, component)
    return f"{name}-{ordinal}.{name}.{deployment_of(spec).namespace}.svc"


def own_host(spec: Spec, component: str) -> str:
    """The same name inside the pod itself, from its variable POD_NAME."""
    return f"$(POD_NAME).{object_name(spec, component)}.{deployment_of(spec).namespace}.svc"


POD_NAME = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


def env(values: Mapping[str, str]) -> list[dict[str, Any]]:
    """POD_NAME, which the others may use as `$(POD_NAME)`, and the given variables."""
    return [POD_NAME, *({"name": name, "value": value} for name, value in values.items())]


def from_secret(variable: str, secret: str, key: str) -> dict[str, Any]:
    """A variable whose value is a key of a Secret."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def checksum(files: Mapping[str, str]) -> str:
    """What changes when a file of a ConfigMap changes: as an annotation it makes new pods."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def container_ports(store: Store) -> list[dict[str, Any]]:
    return [{"name": name, "containerPort": port} for name, port in store.ports.items()]


def service(spec: Spec, store: Store) -> dict[str, Any]:
    """The headless Service. Pods are in it before they are ready: they look for each other."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(spec, store.component, store.component),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": selector(spec, store.component, store.component),
            "ports": [
                {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
                for name, port in store.ports.items()
            ],
        },
    }


def stateful_set(
    spec: Spec,
    store: Store,
    container: Mapping[str, Any],
    *,
    extra_volumes: Sequence[Mapping[str, Any]] = (),
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The StatefulSet. Its pods start together: no member of a quorum is ready alone."""
    deployment = deployment_of(spec)
    chosen = selector(spec, store.component, store.component)
    pod_metadata: dict[str, Any] = {"labels": labels(spec, store.component, store.component)}
    if annotations:
        pod_metadata["annotations"] = dict(annotations)
    pod: dict[str, Any] = {
        **pods.common(deployment),
        **pods.placement(deployment.placement, chosen),
        "securityContext": pods.pod_security(USER),
        "terminationGracePeriodSeconds": store.grace,
        "containers": [dict(container)],
    }
    if extra_volumes:
        pod["volumes"] = [dict(volume) for volume in extra_volumes]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(spec, store.component, store.component),
        "spec": {
            "replicas": store.replicas,
            "serviceName": object_name(spec, store.component),
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate"},
            # the next pod is replaced only once this one has caught up with the others
            "minReadySeconds": 10 if store.replicas > 1 else 0,
            "persistentVolumeClaimRetentionPolicy": dict(volumes.RETENTION),
            "selector": {"matchLabels": chosen},
            "template": {"metadata": pod_metadata, "spec": pod},
            "volumeClaimTemplates": [
                volumes.template(
                    spec, store.component, store.component, store.volume, store.default_size
                )
            ],
        },
    }


def budget(spec: Spec, store: Store) -> dict[str, Any]:
    """The disruption budget: one pod at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(spec, store.component, store.component),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(spec, store.component, store.component)},
        },
    }


def bundle(
    spec: Spec, store: Store, stateful: Mapping[str, Any], *before: Mapping[str, Any]
) -> tuple[Manifest, ...]:
    """The claims, what comes before the pods, the Service, the pods, and where needed a budget."""
    bodies = [*before, service(spec, store), stateful]
    if store.replicas > 1:
        bodies.append(budget(spec, store))
    return (
        *volumes.claims(
            spec,
            store.component,
            store.component,
            replicas=store.replicas,
            volume=store.volume,
            default=store.default_size,
            spec_path=store.spec_path,
        ),
        *(
            Manifest(
                store.component,
                body,
                after=AFTER,
                ignore=(volumes.TEMPLATES_PATH,) if body["kind"] == "StatefulSet" else (),
                spec_path=store.spec_path,
            )
            for body in bodies
        ),
    )
