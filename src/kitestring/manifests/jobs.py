"""The day-2 jobs as CronJobs: backup, compaction, embedding check, drift, drill.

The same objects as those of `charts/kitestring` with the values of `chart_values` (a test compares
them), so that who starts with the chart can go over to `pulumi up` and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from kitestring.manifests import drill_home
from kitestring.manifests.base import Manifest, SecretPlan
from kitestring.manifests.day2 import TIME_ZONE, VERDICTS, Job, scheduled
from kitestring.manifests.dependencies import MINIO_PORT
from kitestring.manifests.images import image
from kitestring.manifests.incluster import (
    HOME,
    MILVUS_PORT,
    SPEC_DIR,
    SPEC_FILE,
    TLS_DIR,
    InCluster,
    in_cluster,
    jobs_name,
)
from kitestring.manifests.labels import deployment_of, metadata, object_name, selector
from kitestring.manifests.pods import common, container_security, placement, pod_security, resources
from kitestring.manifests.volumes import SKIP_AWAIT, claim_spec
from kitestring.spec.deployment import Placement
from kitestring.spec.models import Spec
from kitestring.spec.stores import S3Store

APP, COMPONENT, USER = "kitestring", "jobs", 65532
VOLUME = "20Gi"
_DNS = 53


def manifests(spec: Spec, files: Mapping[str, str] | None = None) -> tuple[Manifest, ...]:
    """Everything of the component `jobs`; nothing where the spec names no image for it.

    Args:
        files: path as the spec writes it -> text (see `in_cluster`).

    Raises:
        SpecInvalid: Milvus has nowhere to keep its segments.
    """
    deployment = deployment_of(spec)
    if deployment.images.kitestring is None:
        return ()
    derived = in_cluster(spec, files)
    name = jobs_name(spec)
    made = [
        _manifest(
            "v1",
            "ConfigMap",
            metadata(spec, APP, COMPONENT, name=name),
            data={"spec.yaml": derived.text, **derived.files},
        ),
        _volume(spec),
    ]
    if account(spec) == name:
        made.append(
            _manifest(
                "v1",
                "ServiceAccount",
                metadata(spec, APP, COMPONENT, name=name),
                automountServiceAccountToken=False,
            )
        )
    if deployment.security.network_policy:
        made.append(_network_policy(spec))
    made += drill_home.manifests(spec, account(spec))
    made += [_cron_job(spec, derived, job, when) for job, when in scheduled(spec)]
    return tuple(made)


def secret_plans(spec: Spec) -> tuple[SecretPlan, ...]:
    """The jobs' own credentials: those of the backup store and of embedding endpoints."""
    deployment = deployment_of(spec)
    if deployment.images.kitestring is None:
        return ()
    refs = in_cluster(spec).refs
    if not refs:
        return ()
    return (
        SecretPlan(
            component=COMPONENT,
            name=jobs_name(spec),
            namespace=deployment.namespace,
            entries={name: f"{{{name}}}" for name in refs},
            refs=refs,
            labels=metadata(spec, APP, COMPONENT)["labels"],
            keep=False,
            spec_path=("backup",),
        ),
    )


def job_arguments(spec: Spec, job: Job) -> tuple[str, ...]:
    """What a job tells `kitestring`, but for the spec."""
    return (*job.arguments, *(drill_home.arguments(spec) if job.name == "drill" else ()))


def to_kubernetes(spec: Spec, job: Job) -> bool:
    """Whether a job asks the API server: then it has a token, and a spec with the deployment."""
    return job.name == "drill" and drill_home.wanted(spec)


def account(spec: Spec) -> str:
    """The service account of the jobs: Milvus' own where that is its way into the bucket."""
    identity = deployment_of(spec).identity
    return identity.service_account if identity is not None else jobs_name(spec)


def job_resources(spec: Spec, job: Job) -> dict[str, Any]:
    """Requests and limits of a job's container."""
    wanted = deployment_of(spec).jobs
    given = wanted.drill_resources if job.name == "drill" else wanted.resources
    return resources(given, job.resources)


def scratch(spec: Spec, job: Job) -> str:
    """Size of a job's /tmp."""
    return deployment_of(spec).jobs.scratch if job.name == "drill" else job.scratch


def peers(spec: Spec) -> list[tuple[dict[str, str], list[int]]]:
    """Labels of the pods of the namespace that jobs may reach, with their ports."""
    instance = {"app.kubernetes.io/instance": spec.cluster.name}
    found = [({"app.kubernetes.io/name": "milvus", **instance}, [MILVUS_PORT])]
    if deployment_of(spec).minio is not None:
        found.append(({"app.kubernetes.io/name": "minio", **instance}, [MINIO_PORT]))
    return found


def egress_ports(spec: Spec) -> list[int]:
    """TCP ports of everything else: those of the spec, and those of its stores' addresses."""
    ports = set(deployment_of(spec).jobs.egress_ports)
    if drill_home.wanted(spec):
        ports |= set(drill_home.API_PORTS)
    for store in (spec.storage, spec.backup.store if spec.backup else None):
        if isinstance(store, S3Store) and store.endpoint_url:
            url = urlsplit(store.endpoint_url)
            ports.add(url.port or (443 if url.scheme == "https" else 80))
    return sorted(ports)


def _manifest(
    api: str, kind: str, meta: dict[str, Any], *, keep: bool = False, **body: Any
) -> Manifest:
    return Manifest(
        COMPONENT,
        {"apiVersion": api, "kind": kind, "metadata": meta, **body},
        after=("namespace",),
        keep=keep,
        spec_path=("deployment", "jobs"),
    )


def _volume(spec: Spec) -> Manifest:
    deployment = deployment_of(spec)
    return _manifest(
        "v1",
        "PersistentVolumeClaim",
        metadata(spec, APP, COMPONENT, name=jobs_name(spec), annotations=SKIP_AWAIT),
        keep=deployment.keep_volumes,
        spec=claim_spec(deployment, deployment.jobs.volume, VOLUME),
    )


def _network_policy(spec: Spec) -> Manifest:
    rules: list[dict[str, Any]] = [
        {"ports": [{"protocol": p, "port": _DNS} for p in ("UDP", "TCP")]},
    ]
    for labels, ports in peers(spec):
        rules.append({"to": [{"podSelector": {"matchLabels": labels}}], "ports": _tcp(ports)})
    outside = egress_ports(spec)
    if outside:
        rules.append({"ports": _tcp(outside)})
    return _manifest(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        metadata(spec, APP, COMPONENT, name=jobs_name(spec)),
        spec={
            "podSelector": {"matchLabels": _pods(spec)},
            "policyTypes": ["Ingress", "Egress"],
            "egress": rules,
        },
    )


def _tcp(ports: list[int]) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def _pods(spec: Spec) -> dict[str, str]:
    """Labels that every pod of a job has."""
    labels = selector(spec, APP, COMPONENT)
    return {key: labels[key] for key in ("app.kubernetes.io/name", "app.kubernetes.io/instance")}


def _cron_job(spec: Spec, derived: InCluster, job: Job, when: str) -> Manifest:
    meta = metadata(spec, APP, job.name, name=object_name(spec, job.name))
    return _manifest(
        "batch/v1",
        "CronJob",
        meta,
        spec={
            "schedule": when,
            "timeZone": TIME_ZONE,
            "suspend": job.name in deployment_of(spec).jobs.suspend,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": job.late,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 5,
            "jobTemplate": {
                "metadata": {"labels": meta["labels"]},
                "spec": {
                    "activeDeadlineSeconds": job.deadline,
                    "backoffLimit": job.retries,
                    "podFailurePolicy": {"rules": _failures()},
                    "template": {
                        "metadata": {"labels": meta["labels"]},
                        "spec": _pod(spec, derived, job),
                    },
                },
            },
        },
    )


def _failures() -> list[dict[str, Any]]:
    """A pod that was evicted does not count; a verdict ends the job without another try."""
    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {
            "action": "FailJob",
            "onExitCodes": {
                "containerName": APP,
                "operator": "In",
                "values": list(VERDICTS),
            },
        },
    ]


def _pod(spec: Spec, derived: InCluster, job: Job) -> dict[str, Any]:
    deployment = deployment_of(spec)
    name = jobs_name(spec)
    where = Placement(**deployment.placement.model_dump() | {"spread": "none"})
    volumes: list[dict[str, Any]] = [
        {"name": "spec", "configMap": {"name": name}},
        {"name": "state", "persistentVolumeClaim": {"claimName": name}},
        {"name": "tmp", "emptyDir": {"sizeLimit": scratch(spec, job)}},
    ]
    mounts = [
        {"name": "spec", "mountPath": SPEC_DIR, "readOnly": True},
        {"name": "state", "mountPath": HOME},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
    ]
    if derived.tls_secret is not None:
        items = [{"key": "ca.crt", "path": "ca.crt"}]
        volumes.append(
            {"name": "tls", "secret": {"secretName": derived.tls_secret, "items": items}}
        )
        mounts.append({"name": "tls", "mountPath": TLS_DIR, "readOnly": True})
    in_api = to_kubernetes(spec, job)
    return {
        **common(deployment),
        "automountServiceAccountToken": in_api,
        **placement(where, {}),
        # the claim can be mounted on one node at a time: jobs that overlap run on the same
        "affinity": {
            "podAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "labelSelector": {"matchLabels": _pods(spec)},
                        "topologyKey": "kubernetes.io/hostname",
                    }
                ]
            }
        },
        "serviceAccountName": account(spec),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 60,
        "securityContext": pod_security(USER),
        "containers": [
            {
                "name": APP,
                "image": image(spec, "kitestring"),
                "imagePullPolicy": deployment.images.pull_policy,
                "command": ["kitestring"],
                "args": [
                    *job_arguments(spec, job),
                    "--spec",
                    f"{SPEC_DIR}/{drill_home.SPEC_FILE_NAME}" if in_api else SPEC_FILE,
                ],
                "env": [
                    {
                        "name": variable,
                        "valueFrom": {"secretKeyRef": {"name": key.secret, "key": key.key}},
                    }
                    for variable, key in derived.env.items()
                ],
                "resources": job_resources(spec, job),
                "securityContext": container_security(),
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
