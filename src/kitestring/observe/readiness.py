"""Whether what a workload or claim wants is there: pods ready, volumes as large as asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.clients.kube.protocol import Kube
from kitestring.errors import KubernetesDenied
from kitestring.model.infra import NotReady, ObjectRef
from kitestring.model.quantity import parse_quantity

_WORKLOADS = ("Deployment", "StatefulSet")


def not_ready(ref: ObjectRef, live: Mapping[str, Any], kube: Kube) -> tuple[NotReady, ...]:
    """At most one: why the object is not as it wants to be; empty where it is."""
    if ref.kind in _WORKLOADS:
        return _workload(ref, live, kube)
    if ref.kind == "PersistentVolumeClaim":
        return _claim(ref, live)
    if ref.kind == "Job":
        return _job(ref, live)
    return ()


def _workload(ref: ObjectRef, live: Mapping[str, Any], kube: Kube) -> tuple[NotReady, ...]:
    spec, status = live["spec"], live.get("status") or {}
    wanted, ready = int(spec.get("replicas", 1)), int(status.get("readyReplicas", 0))
    updated = int(status.get("updatedReplicas", 0))
    seen = int(status.get("observedGeneration", 0))
    if seen < int(live["metadata"].get("generation", 0)):
        reason = "no controller has looked at its last change yet"
    elif ready >= wanted and updated >= wanted:
        return ()
    elif ready >= wanted:
        reason = f"{updated} of {wanted} pods have the latest version: a rollout is on its way"
    else:
        reason = _pods(live, kube)
    return (NotReady(ref, f"{wanted} pods ready", f"{ready} ready", reason),)


def _pods(live: Mapping[str, Any], kube: Kube) -> str:
    """The first reason that a pod or its containers give."""
    chosen = live["spec"].get("selector", {}).get("matchLabels") or {}
    labels = ",".join(f"{key}={value}" for key, value in chosen.items())
    try:
        pods = kube.list("v1", "Pod", live["metadata"].get("namespace"), labels=labels)
    except KubernetesDenied:
        return ""
    if not pods:
        return "there are no pods"
    for pod in pods:
        status = pod.get("status") or {}
        name = pod["metadata"]["name"]
        containers = (
            *(status.get("initContainerStatuses") or ()),
            *(status.get("containerStatuses") or ()),
        )
        for container in containers:
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
                return _said(name, waiting)
            ended = (container.get("lastState") or {}).get("terminated") or {}
            if not container.get("ready") and ended.get("reason"):
                return _said(name, ended)
        for condition in status.get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return _said(name, condition)
    return "pods are starting, or their readiness probes fail"


def _said(pod: str, said: Mapping[str, Any]) -> str:
    text = " ".join(str(said.get("message", "")).split())
    return f"pod {pod}: {said.get('reason')}" + (f": {text[:200]}" if text else "")


def _claim(ref: ObjectRef, live: Mapping[str, Any]) -> tuple[NotReady, ...]:
    status = live.get("status") or {}
    wanted = live["spec"].get("resources", {}).get("requests", {}).get("storage", "0")
    phase = str(status.get("phase", ""))
    if phase == "Lost":
        reason = "its volume is gone"
        return (NotReady(ref, "a bound volume", phase, reason),)
    has = (status.get("capacity") or {}).get("storage")
    # a claim that waits for its first pod is not late
    if phase == "Bound" and has is not None and parse_quantity(has) < parse_quantity(wanted):
        conditions = [str(c.get("type")) for c in status.get("conditions") or ()]
        reason = ", ".join(conditions) or "the volume is not expanded yet"
        return (NotReady(ref, wanted, has, reason),)
    return ()


def _job(ref: ObjectRef, live: Mapping[str, Any]) -> tuple[NotReady, ...]:
    for condition in (live.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Failed" and condition.get("status") == "True":
            message = str(condition.get("message", ""))
            return (NotReady(ref, "complete", "failed", message),)
    return ()
