"""Services of Milvus: for clients, for metrics, and the one that a StatefulSet needs."""

from __future__ import annotations

from typing import Any

from kitestring.manifests.base import INSTANCE_LABEL
from kitestring.manifests.labels import NAME_LABEL, deployment_of, metadata, object_name, selector
from kitestring.manifests.shapes import GRPC_PORT, METRICS_PORT
from kitestring.model.versions import Role
from kitestring.spec.models import Spec


def client_service(spec: Spec, role: Role) -> dict[str, Any]:
    """`N-milvus`: how clients reach the proxies, or the standalone server."""
    wanted = deployment_of(spec).service
    return {
        **_service(spec, role, "milvus"),
        "metadata": metadata(
            spec,
            "milvus",
            role,
            name=object_name(spec, "milvus"),
            version=deployment_of(spec).version,
            annotations=wanted.annotations,
        ),
        "spec": {
            "type": wanted.type,
            "selector": selector(spec, "milvus", role),
            "ports": [_port("grpc", GRPC_PORT), _port("metrics", METRICS_PORT)],
        },
    }


def metrics_service(spec: Spec, role: Role) -> dict[str, Any]:
    """`N-metrics`: every pod of Milvus by name, for Prometheus; ready or not."""
    return {
        **_service(spec, role, "metrics"),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {NAME_LABEL: "milvus", INSTANCE_LABEL: spec.cluster.name},
            "ports": [_port("metrics", METRICS_PORT)],
        },
    }


def headless_service(spec: Spec) -> dict[str, Any]:
    """`N-standalone`: gives the pod of the StatefulSet its name."""
    return {
        **_service(spec, "standalone", "standalone"),
        "spec": {
            "clusterIP": "None",
            "selector": selector(spec, "milvus", "standalone"),
            "ports": [_port("grpc", GRPC_PORT), _port("metrics", METRICS_PORT)],
        },
    }


def _service(spec: Spec, role: Role, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(
            spec,
            "milvus",
            role,
            name=object_name(spec, name),
            version=deployment_of(spec).version,
        ),
    }


def _port(name: str, port: int) -> dict[str, Any]:
    return {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
