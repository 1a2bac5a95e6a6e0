"""MinIO, the object store of the segments: one server, or four and more with erasure coding.

Milvus makes its bucket itself. The keys come from the Secret `N-minio`.
"""

from __future__ import annotations

from typing import Final

from kitestring.manifests import pods, stateful
from kitestring.manifests.base import Manifest
from kitestring.manifests.images import image
from kitestring.manifests.labels import deployment_of, object_name
from kitestring.spec.deployment import Resources
from kitestring.spec.models import Spec

COMPONENT: Final = "minio"
PORT = 9000
DEFAULT_RESOURCES = Resources(cpu="1", memory="4Gi")
DEFAULT_SIZE = "100Gi"
_DIRECTORY = "/data"


def _drives(spec: Spec, replicas: int) -> str:
    """What is served: a directory, or the pattern of all servers' directories."""
    if replicas == 1:
        return _DIRECTORY
    name = object_name(spec, COMPONENT)
    pods_of_all = f"{name}-{{0...{replicas - 1}}}.{name}.{deployment_of(spec).namespace}.svc"
    return f"http://{pods_of_all}:{PORT}{_DIRECTORY}"


def manifests(spec: Spec) -> tuple[Manifest, ...]:
    """The claims, Service, StatefulSet and budget of MinIO; nothing where S3 is external."""
    deployment = deployment_of(spec)
    minio = deployment.minio
    if minio is None:
        return ()
    store = stateful.Store(
        component=COMPONENT,
        replicas=minio.replicas,
        ports={"api": PORT},
        volume=minio.volume,
        default_size=DEFAULT_SIZE,
        grace=60,
        spec_path=("deployment", "minio"),
    )
    secret = object_name(spec, COMPONENT)
    alive = pods.http_get("/minio/health/live", "api")
    container = {
        "name": COMPONENT,
        "image": image(spec, COMPONENT),
        "imagePullPolicy": deployment.images.pull_policy,
        "command": ["minio"],
        "args": [
            "server",
            "--address",
            f":{PORT}",
            "--certs-dir",
            "/tmp/certs",  # noqa: S108 - a volume of the pod's own
            _drives(spec, minio.replicas),
        ],
        "env": [
            *stateful.env({"MINIO_BROWSER": "off", "MINIO_UPDATE": "off"}),
            stateful.from_secret("MINIO_ROOT_USER", secret, "access_key"),
            stateful.from_secret("MINIO_ROOT_PASSWORD", secret, "secret_key"),
        ],
        "ports": stateful.container_ports(store),
        "resources": pods.resources(minio.resources, DEFAULT_RESOURCES),
        "securityContext": pods.container_security(),
        "startupProbe": pods.probe(alive, period=2, failures=150, timeout=2),
        "livenessProbe": pods.probe(alive, period=10, failures=6, timeout=5),
        "readinessProbe": pods.probe(
            pods.http_get("/minio/health/ready", "api"), period=5, failures=3, timeout=5
        ),
        "volumeMounts": [
            {"name": "data", "mountPath": _DIRECTORY},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }
    return stateful.bundle(
        spec,
        store,
        stateful.stateful_set(
            spec, store, container, extra_volumes=[{"name": "tmp", "emptyDir": {}}]
        ),
    )
