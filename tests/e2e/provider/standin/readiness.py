"""When an object that was applied is ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

SKIP = "pulumi.com/skipAwait"
INTERVAL = 0.5  # seconds between two looks
TIMEOUT = 600.0  # seconds, as the real plugin waits


class Reader(Protocol):
    """What readiness needs of a cluster."""

    def read(self, path: str) -> dict[str, Any] | None: ...
    def get(self, api_version: str, kind: str, id_: str) -> dict[str, Any] | None: ...


class Failed(Exception):
    """It will not become ready by waiting."""


def waiting_for(cluster: Reader, body: Mapping[str, Any]) -> str:
    """What an object still lacks, in a few words; empty where it is ready.

    Raises:
        Failed: waiting is of no use.
    """
    spec, status = body.get("spec") or {}, body.get("status") or {}
    kind = body["kind"]
    if kind in ("Deployment", "StatefulSet"):
        return _rollout(body, spec, status)
    if kind == "Job":
        return _job(spec, status)
    if kind == "PersistentVolumeClaim":
        return _claim(cluster, spec, status)
    if kind == "Service":
        return _service(cluster, body, spec, status)
    if kind == "Pod":
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in _conditions(status))
        return "" if ready else f"the pod is {status.get('phase', 'not seen yet')}"
    return ""


def _conditions(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return status.get("conditions") or []


def _rollout(body: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    if status.get("observedGeneration", 0) < body["metadata"].get("generation", 1):
        return "the controller has not seen it yet"
    wanted = spec.get("replicas", 1)
    for condition in _conditions(status):
        if condition["type"] == "Progressing" and condition["status"] == "False":
            raise Failed(condition.get("message", "the rollout does not progress"))
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    on_delete = (spec.get("updateStrategy") or {}).get("type") == "OnDelete"
    if updated < wanted and not on_delete:
        return f"{updated} of {wanted} pods are of the new revision"
    if body["kind"] == "Deployment" and status.get("replicas", 0) > wanted:
        return f"{status['replicas'] - wanted} old pods are still there"
    return "" if ready >= wanted else f"{ready} of {wanted} pods are ready"


def _job(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    for condition in _conditions(status):
        if condition["type"] == "Failed" and condition["status"] == "True":
            raise Failed(condition.get("message", "the job failed"))
        if condition["type"] == "Complete" and condition["status"] == "True":
            return ""
    return "" if spec.get("suspend") else "the job has not completed"


def _claim(cluster: Reader, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    if status.get("phase") == "Bound":
        return ""
    name = spec.get("storageClassName")
    if name is None:
        listed = cluster.read("/apis/storage.k8s.io/v1/storageclasses") or {"items": []}
        default = "storageclass.kubernetes.io/is-default-class"
        classes = [
            c
            for c in listed["items"]
            if (c["metadata"].get("annotations") or {}).get(default) == "true"
        ]
        found = classes[0] if classes else None
    else:
        found = cluster.get("storage.k8s.io/v1", "StorageClass", name)
    # such a claim is bound once a pod wants it, which may be a resource that comes after it
    if found and found.get("volumeBindingMode") == "WaitForFirstConsumer":
        return ""
    return f"the claim is {status.get('phase', 'not seen yet')}"


def _service(
    cluster: Reader, body: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]
) -> str:
    if spec.get("type") == "LoadBalancer" and not (status.get("loadBalancer") or {}).get("ingress"):
        return "no address of the load balancer yet"
    if spec.get("clusterIP") == "None" or not spec.get("selector"):
        return ""
    meta = body["metadata"]
    slices = cluster.read(
        f"/apis/discovery.k8s.io/v1/namespaces/{meta['namespace']}/endpointslices"
    ) or {"items": []}
    for item in slices["items"]:
        labels = item["metadata"].get("labels") or {}
        if labels.get("kubernetes.io/service-name") != meta["name"]:
            continue
        if any((e.get("conditions") or {}).get("ready") for e in item.get("endpoints") or []):
            return ""
    return "no pod behind it is ready"


def await_ready(
    cluster: Reader, body: Mapping[str, Any], id_: str, stop: threading.Event, timeout: float
) -> dict[str, Any]:
    """Waits until an object is ready, and gives it as it then is.

    Raises:
        Failed: it is not ready by the timeout, or never will be; the message says what it lacks.
    """
    current: dict[str, Any] = dict(body)
    if (body["metadata"].get("annotations") or {}).get(SKIP) == "true":
        return current
    until = time.monotonic() + (timeout or TIMEOUT)
    while lacks := waiting_for(cluster, current):
        if stop.is_set():
            raise Failed(f"interrupted while {lacks}")
        if time.monotonic() > until:
            raise Failed(f"not ready in time: {lacks}")
        stop.wait(INTERVAL)
        found = cluster.get(body["apiVersion"], body["kind"], id_)
        if found is None:
            raise Failed("it is gone")
        current = found
    return current


def await_gone(
    cluster: Reader, api_version: str, kind: str, id_: str, stop: threading.Event, timeout: float
) -> None:
    """Waits until an object is not there any more.

    Raises:
        Failed: it is still there at the timeout.
    """
    until = time.monotonic() + (timeout or TIMEOUT)
    while (found := cluster.get(api_version, kind, id_)) is not None:
        if stop.is_set() or time.monotonic() > until:
            held = found["metadata"].get("finalizers") or (found.get("spec") or {}).get(
                "finalizers"
            )
            raise Failed(f"{kind} {id_} is still there" + (f"; held by {held}" if held else ""))
        stop.wait(INTERVAL)
