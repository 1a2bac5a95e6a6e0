"""The pods of Milvus: a Deployment for each role of a cluster, a StatefulSet for standalone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from kitestring.manifests import pods, volumes
from kitestring.manifests.base import Manifest, SpecPath
from kitestring.manifests.config import CONFIG_FILE, DATA_DIR, TLS_DIR, checksum, environment, grace
from kitestring.manifests.dependencies import bundled, message_log
from kitestring.manifests.images import image
from kitestring.manifests.labels import deployment_of, metadata, object_name, selector
from kitestring.manifests.labels import labels as labels_of
from kitestring.manifests.scaling import autoscaler, disruption_budget
from kitestring.manifests.services import client_service, headless_service, metrics_service
from kitestring.manifests.shapes import (
    METRICS_PORT,
    PORTS,
    command,
    count,
    existing_roles,
    placement_of,
    pod_resources,
)
from kitestring.model.versions import Role
from kitestring.spec.deployment import GivenTls, Rocksmq, Volume
from kitestring.spec.models import Spec

USER = 1000
_STANDALONE_VOLUME = "50Gi"


def manifests(spec: Spec) -> tuple[Manifest, ...]:
    """All manifests of Milvus' own roles, in the order in which they roll."""
    there = existing_roles(spec)
    made: list[Manifest] = []
    before: tuple[str, ...] = ("network", "config", *bundled(spec))
    for role in there:
        made += _of_role(spec, role, before)
        before = ("config", role)  # one role after the other: an upgrade rolls in this order
    return tuple(made)


def _of_role(spec: Spec, role: Role, after: tuple[str, ...]) -> Iterator[Manifest]:
    path: SpecPath = ("deployment", "roles", role)

    def made(body: dict[str, Any], *, ignore: tuple[str, ...] = ()) -> Manifest:
        return Manifest(role, body, after=after, ignore=ignore, spec_path=path)

    if role == "standalone":
        volume = _standalone_volume(spec)
        if volume is not None:
            yield from _claims(spec, volume)
        yield made(headless_service(spec))
        yield made(
            _stateful_set(spec, volume),
            ignore=(volumes.TEMPLATES_PATH,) if volume is not None else (),
        )
    else:
        scaled = count(spec, role).fixed is None
        yield made(_deployment(spec, role), ignore=("spec.replicas",) if scaled else ())
        if scaled:
            yield made(autoscaler(spec, role))
        if count(spec, role).least > 1:
            yield made(disruption_budget(spec, role))
    if role in ("standalone", "proxy"):
        yield made(client_service(spec, role))
        yield made(metrics_service(spec, role))


def _deployment(spec: Spec, role: Role) -> dict[str, Any]:
    wanted = count(spec, role)
    body: dict[str, Any] = {
        "revisionHistoryLimit": 3,
        # a query node may drain for long: that is progress, and no failure
        "progressDeadlineSeconds": int(grace(spec, role)) + 600,
        "selector": {"matchLabels": selector(spec, "milvus", role)},
        "strategy": strategy(spec, role),
        "template": _template(spec, role),
    }
    if wanted.fixed is not None:
        body["replicas"] = wanted.fixed
    # Pulumi waits for a rollout, ten minutes where nothing is said: each pod may take its grace
    patience = {"pulumi.com/timeoutSeconds": str(int(wanted.most * grace(spec, role)) + 600)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(
            spec, "milvus", role, version=deployment_of(spec).version, annotations=patience
        ),
        "spec": body,
    }


def strategy(spec: Spec, role: Role) -> dict[str, Any]:
    """How the pods of a role are replaced.

    One coordinator is recreated: two that are both active would write to the same metadata.
    Elsewhere the new pod comes first, so that a query node has somewhere to drain to and no
    proxy is missed. Where every pod needs a node of its own that would wait for ever on a
    cluster with just as many nodes as pods: there one pod goes first.
    """
    if role == "coordinator" and count(spec, role).most == 1:
        return {"type": "Recreate"}
    apart = placement_of(spec, role).spread == "required"
    surge = {"maxUnavailable": 1, "maxSurge": 0} if apart else {"maxUnavailable": 0, "maxSurge": 1}
    return {"type": "RollingUpdate", "rollingUpdate": surge}


def _stateful_set(spec: Spec, volume: Volume | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "serviceName": object_name(spec, "standalone"),
        "replicas": count(spec, "standalone").least,
        "revisionHistoryLimit": 3,
        # a pod that never got ready is replaced when its template is mended, not waited for
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": selector(spec, "milvus", "standalone")},
        "updateStrategy": {"type": "RollingUpdate"},
        "template": _template(spec, "standalone"),
    }
    if volume is not None:
        body["persistentVolumeClaimRetentionPolicy"] = dict(volumes.RETENTION)
        body["volumeClaimTemplates"] = [
            volumes.template(spec, "milvus", "standalone", volume, _STANDALONE_VOLUME)
        ]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(spec, "milvus", "standalone", version=deployment_of(spec).version),
        "spec": body,
    }


def _template(spec: Spec, role: Role) -> dict[str, Any]:
    deployment = deployment_of(spec)
    placed = pods.placement(placement_of(spec, role), selector(spec, "milvus", role))
    template_labels = labels_of(spec, "milvus", role, deployment.version)
    identity: dict[str, Any] = {}
    if deployment.identity is not None:
        identity["serviceAccountName"] = deployment.identity.service_account
        if deployment.identity.provider == "azure":
            template_labels["azure.workload.identity/use"] = "true"
    return {
        "metadata": {
            "labels": template_labels,
            # rolls the pods when a setting changes that they read
            "annotations": {"kitestring/config": checksum(spec, role)},
        },
        "spec": {
            **pods.common(deployment),
            **identity,
            "securityContext": pods.pod_security(USER),
            "terminationGracePeriodSeconds": int(grace(spec, role)),
            "containers": [_container(spec, role)],
            "volumes": _volumes(spec, role),
            **placed,
        },
    }


def _container(spec: Spec, role: Role) -> dict[str, Any]:
    deployment = deployment_of(spec)
    health = pods.http_get("/healthz", "metrics")
    ports = {**PORTS[role], "metrics": METRICS_PORT}
    return {
        "name": "milvus",
        "image": image(spec, "milvus"),
        "imagePullPolicy": deployment.images.pull_policy,
        "args": command(role),
        "workingDir": "/milvus",  # Milvus looks for configs/ where it is started
        "env": environment(spec, role),
        "ports": [
            {"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()
        ],
        # a first start waits for what it stands on; five minutes, then it is started again
        "startupProbe": pods.probe(health, period=5, failures=60, timeout=5),
        # patient: an outage of etcd or of the log is not mended by restarts
        "livenessProbe": pods.probe(health, period=20, failures=9, timeout=10),
        "readinessProbe": pods.probe(health, period=5, failures=3, timeout=5),
        "resources": pods.resources(None, pod_resources(spec, role)),
        "securityContext": pods.container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(spec, role),
    }


def _serves_tls(spec: Spec, role: Role) -> bool:
    return role in ("standalone", "proxy") and deployment_of(spec).security.tls is not None


def _mounts(spec: Spec, role: Role) -> list[dict[str, Any]]:
    mounts: list[dict[str, Any]] = [
        {
            "name": "config",
            "mountPath": f"/milvus/configs/{CONFIG_FILE}",
            "subPath": CONFIG_FILE,
            "readOnly": True,
        },
        {"name": "data", "mountPath": DATA_DIR},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
    ]
    if _serves_tls(spec, role):
        mounts.append({"name": "tls", "mountPath": TLS_DIR, "readOnly": True})
    return mounts


def _volumes(spec: Spec, role: Role) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {
            "name": "config",
            "configMap": {"name": object_name(spec, "config"), "defaultMode": 0o444},
        },
        {"name": "tmp", "emptyDir": {}},
    ]
    if role != "standalone" or _standalone_volume(spec) is None:
        made.append({"name": "data", **_scratch(spec, role)})
    if _serves_tls(spec, role):
        tls = deployment_of(spec).security.tls
        name = tls.secret if isinstance(tls, GivenTls) else object_name(spec, "tls")
        # the Secret that is made here also holds the authority's key, which no pod needs
        items = [{"key": key, "path": key} for key in ("tls.crt", "tls.key")]
        secret = {"secretName": name, "defaultMode": 0o440, "items": items}
        made.append({"name": "tls", "secret": secret})
    return made


def _scratch(spec: Spec, role: Role) -> dict[str, Any]:
    """The working directory of a pod that holds no data of its own: a disk, or the node's."""
    disk = deployment_of(spec).role(role).disk
    if disk is None:
        return {"emptyDir": {}}
    claim = {
        "metadata": {"labels": labels_of(spec, "milvus", role)},
        "spec": volumes.claim_spec(deployment_of(spec), disk, disk.size),
    }
    return {"ephemeral": {"volumeClaimTemplate": claim}}


def _standalone_volume(spec: Spec) -> Volume | None:
    """The claim of a standalone server: its log when that is rocksmq, and else its disk."""
    log, disk = message_log(spec), deployment_of(spec).role("standalone").disk
    if isinstance(log, Rocksmq):
        return log.volume or disk or Volume(size=_STANDALONE_VOLUME)
    return disk


def _claims(spec: Spec, volume: Volume) -> tuple[Manifest, ...]:
    """The claim of the server, made before the StatefulSet would make it: it can then grow."""
    named = deployment_of(spec).message_log
    path: SpecPath = ("deployment", "message_log") if named else ("deployment",)
    if deployment_of(spec).role("standalone").disk is volume:
        path = ("deployment", "roles", "standalone", "disk")
    return tuple(
        replace(claim, spec_path=path)
        for claim in volumes.claims(
            spec, "milvus", "standalone", replicas=1, volume=volume, default=_STANDALONE_VOLUME
        )
    )
