"""The values with which `charts/kitestring` makes the jobs of a spec."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kitestring.manifests import drill_home
from kitestring.manifests.day2 import JOBS, TIME_ZONE, schedules
from kitestring.manifests.images import image
from kitestring.manifests.incluster import in_cluster, jobs_name
from kitestring.manifests.jobs import (
    VOLUME,
    account,
    egress_ports,
    job_arguments,
    job_resources,
    peers,
    scratch,
    to_kubernetes,
)
from kitestring.manifests.refuse import refuse
from kitestring.spec.models import Spec

_IMAGE = re.compile(
    r"(?:(?P<registry>[^/]*[.:][^/]*|localhost)/)?(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)


def chart_values(spec: Spec, files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Values for `helm install`: with them the chart makes what `jobs.manifests(spec)` makes.

    Secrets are named, not held: the chart expects the Secrets of the deployment, and the jobs' own
    (`N-jobs`) where the spec's backup store or embedding endpoints have credentials.

    Raises:
        SpecInvalid: the spec has no deployment, names no image for the jobs, or Milvus has
            nowhere to keep its segments.
    """
    if spec.deployment is None:
        raise refuse(("deployment",), "the spec has none: jobs run beside a deployment")
    deployment = spec.deployment
    if deployment.images.kitestring is None:
        raise refuse(
            ("deployment", "images"),
            "no image for the day-2 jobs is named",
            hint="build one with the Dockerfile and name it in `deployment.images.kitestring`",
        )
    derived = in_cluster(spec, files)
    when = schedules(spec)
    own_account = account(spec) == jobs_name(spec)
    volume = deployment.jobs.volume
    return {
        "fullnameOverride": spec.cluster.name,
        "image": {
            **split_image(image(spec, "kitestring")),
            "pullPolicy": deployment.images.pull_policy,
            "pullSecrets": list(deployment.images.pull_secrets),
        },
        "spec": {"text": derived.text, "files": dict(derived.files)},
        "credentials": {
            variable: {"secret": key.secret, "key": key.key}
            for variable, key in derived.env.items()
        },
        "tls": {"secret": derived.tls_secret or ""},
        "state": {
            "size": volume.size if volume else VOLUME,
            "storageClass": (volume and volume.storage_class) or deployment.storage_class or "",
            "keep": deployment.keep_volumes,
        },
        "timeZone": TIME_ZONE,
        "jobs": {
            job.name: {
                "schedule": when.get(job.name, ""),
                "suspend": job.name in deployment.jobs.suspend,
                "spec": drill_home.SPEC_FILE_NAME if to_kubernetes(spec, job) else "spec.yaml",
                "args": list(job_arguments(spec, job)),
                "deadline": job.deadline,
                "late": job.late,
                "retries": job.retries,
                "scratch": scratch(spec, job),
                "resources": job_resources(spec, job),
            }
            for job in JOBS
        },
        "drills": {"namespace": drill_home.home(spec) if drill_home.wanted(spec) else ""},
        "serviceAccount": {"create": own_account, "name": "" if own_account else account(spec)},
        "networkPolicy": {
            "enabled": deployment.security.network_policy,
            "peers": [{"labels": labels, "ports": ports} for labels, ports in peers(spec)],
            "ports": egress_ports(spec),
        },
        "nodeSelector": dict(deployment.placement.node_selector),
        "tolerations": [dict(t) for t in deployment.placement.tolerations],
        "priorityClassName": deployment.placement.priority_class or "",
    }


def split_image(name: str) -> dict[str, str]:
    """An image's registry, repository, tag and digest; empty where it has none.

    Raises:
        ValueError: it is no image.
    """
    match = _IMAGE.fullmatch(name)
    if match is None:
        raise ValueError(f"`{name}` is no image")
    return {key: value or "" for key, value in match.groupdict().items()}
