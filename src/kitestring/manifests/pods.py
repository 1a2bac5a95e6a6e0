"""Parts that every pod has: security, placement, probes, resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.spec.deployment import Deployment, Placement, Resources


def pod_security(user: int, group: int | None = None) -> dict[str, Any]:
    """A pod's security context: not root, volumes given to its group, the default seccomp."""
    group = user if group is None else group
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "fsGroup": group,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(*, read_only: bool = True) -> dict[str, Any]:
    """A container's security context: no way to more rights, a file system that stays as is."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only,
        "capabilities": {"drop": ["ALL"]},
    }


def probe(action: Mapping[str, Any], *, period: int, failures: int, timeout: int) -> dict[str, Any]:
    """A probe: every `period` seconds, given up after `failures` in a row."""
    return {
        **action,
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def http_get(path: str, port: str) -> dict[str, Any]:
    """A probe's action: HTTP GET at a named port."""
    return {"httpGet": {"path": path, "port": port}}


def tcp(port: str) -> dict[str, Any]:
    """A probe's action: a connection to a named port."""
    return {"tcpSocket": {"port": port}}


def resources(given: Resources | None, default: Resources) -> dict[str, Any]:
    """Requests and limits: memory asked for is memory limited."""
    wanted = given or default
    requests = {"cpu": wanted.cpu, "memory": wanted.memory}
    limits = {"memory": wanted.memory}
    if wanted.cpu_limit is not None:
        limits["cpu"] = wanted.cpu_limit
    if wanted.ephemeral is not None:
        requests["ephemeral-storage"] = limits["ephemeral-storage"] = wanted.ephemeral
    return {"requests": requests, "limits": limits}


def placement(given: Placement, selector: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a pod's spec: where it may run, apart from others of the same selector."""
    fields: dict[str, Any] = {}
    if given.node_selector:
        fields["nodeSelector"] = dict(given.node_selector)
    if given.tolerations:
        fields["tolerations"] = [dict(t) for t in given.tolerations]
    if given.priority_class is not None:
        fields["priorityClassName"] = given.priority_class
    if given.spread == "none":
        return fields
    hard = given.spread == "required"
    chosen = {"matchLabels": dict(selector)}
    fields["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            # a cluster without zones has no such label: required zones would keep pods pending
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": chosen,
        },
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule" if hard else "ScheduleAnyway",
            "labelSelector": chosen,
        },
    ]
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": chosen}
    fields["affinity"] = {
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        if hard
        else {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 100, "podAffinityTerm": term}
            ]
        }
    }
    return fields


def common(deployment: Deployment) -> dict[str, Any]:
    """Fields that every pod's spec starts with.

    Service links are off: a Service named `minio` would otherwise give the pod a variable
    MINIO_PORT=tcp://…, which Milvus takes for its own setting.
    """
    fields: dict[str, Any] = {
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
    }
    if deployment.images.pull_secrets:
        fields["imagePullSecrets"] = [{"name": name} for name in deployment.images.pull_secrets]
    return fields
