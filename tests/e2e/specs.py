"""Specs of what the e2e tests provision, sized for a machine of 2 cores."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

CLUSTERS = Path(__file__).parents[2] / "infra" / "clusters"
REGISTRY = "kitestring.test"  # where the test node's images say they are from
SMALL = {"cpu": "50m", "memory": "1Gi"}
TINY = {"cpu": "50m", "memory": "512Mi"}

_COMMON: dict[str, Any] = {
    "version": 1,
    "state": "state",
    "storage": {"type": "s3", "bucket": "milvus", "prefix": "files", "region": "us-east-1"},
    "models": [
        {
            "provider": "hashing",
            "name": "words",
            "version": "1",
            "dimension": 64,
        }
    ],
    "access": {
        "roles": [
            {
                "name": "reader",
                "grants": [{"name": "docs_v1", "privileges": ["Search", "Query"]}],
            }
        ],
        "users": [{"name": "app", "roles": ["reader"]}],
    },
    "backup": {"store": {"type": "local", "path": "backups"}},
    "objectives": {"rpo": "24h", "rto": "10m"},
}


def _collection(replicas: int) -> dict[str, Any]:
    return {
        "name": "docs_v1",
        "model": "words@1",
        "chunking": {"strategy": "sentence", "size": 400},
        "rows": 5000,
        "indexes": [
            {
                "field": "embedding",
                "type": "HNSW",
                "metric": "COSINE",
                "params": {"M": 8, "efConstruction": 64},
            }
        ],
        "search": {"params": {"ef": 64}, "top_k": 5},
        "load": {"loaded": True, "replicas": replicas},
        "aliases": ["docs"],
    }


def standalone(kubeconfig: Path) -> dict[str, Any]:
    """One server with TLS, etcd and MinIO beside it."""
    return {
        **copy.deepcopy(_COMMON),
        "cluster": {"name": "solo", "environment": "test"},
        "connection": {"kubernetes": {"kubeconfig": str(kubeconfig)}},
        "collections": [_collection(1)],
        "deployment": {
            "version": "2.3.5",
            "mode": "standalone",
            "namespace": "e2e-solo",
            "images": {"registry": REGISTRY},
            "etcd": {"replicas": 1, "volume": {"size": "1Gi"}, "resources": dict(TINY)},
            "minio": {"replicas": 1, "volume": {"size": "2Gi"}, "resources": dict(SMALL)},
            "message_log": {"type": "rocksmq", "volume": {"size": "1Gi"}},
            "roles": {"standalone": {"resources": {"cpu": "100m", "memory": "2Gi"}}},
            "security": {"tls": {"type": "generated"}},
        },
    }


def cluster(kubeconfig: Path) -> dict[str, Any]:
    """Pods by role: 3 query nodes and 2 index nodes, with etcd, MinIO and Kafka."""
    return {
        **copy.deepcopy(_COMMON),
        "cluster": {"name": "many", "environment": "test"},
        # a search on a node that was killed is slow, and answered
        "connection": {"kubernetes": {"kubeconfig": str(kubeconfig)}, "timeout": "60s"},
        "collections": [_collection(3)],
        "deployment": {
            "version": "2.3.5",
            "mode": "cluster",
            "namespace": "e2e-many",
            "images": {"registry": REGISTRY},
            "etcd": {"replicas": 1, "volume": {"size": "1Gi"}, "resources": dict(TINY)},
            "minio": {"replicas": 1, "volume": {"size": "2Gi"}, "resources": dict(SMALL)},
            "message_log": {
                "type": "kafka",
                "replicas": 1,
                "volume": {"size": "2Gi"},
                "resources": dict(SMALL),
            },
            "roles": {
                "proxy": {"replicas": 1, "resources": dict(SMALL)},
                "coordinator": {"replicas": 1, "resources": dict(SMALL)},
                "query_node": {
                    "replicas": 3,
                    "resources": dict(SMALL),
                    "termination_grace": "30s",
                },
                "data_node": {"replicas": 1, "resources": dict(SMALL)},
                "index_node": {"replicas": 2, "resources": dict(SMALL)},
            },
            "security": {"tls": {"type": "generated"}},
        },
    }


def prod(endpoint: str) -> dict[str, Any]:
    """`infra/clusters/prod.yaml` as it is but for what a test node can't have: its Milvus, pods of
    that size, other nodes to spread over, AWS' identities, millions of rows, and a second and third
    Kafka: on a busy machine of 2 cores they elect none of them within Kafka's second.

    Args:
        endpoint: URL of an S3 server that pods reach; its keys are the variables of the spec.
    """
    spec: dict[str, Any] = yaml.safe_load((CLUSTERS / "prod.yaml").read_text())
    deployment, roles = spec["deployment"], spec["deployment"]["roles"]
    for collection in spec["collections"]:
        collection["rows"] = 1000
        collection.pop("golden", None)
    spec["storage"] |= {"endpoint_url": endpoint, "secret_key": {"env": "MILVUS_S3_SECRET_KEY"}}
    del deployment["identity"]  # the keys of `storage` instead
    deployment |= {
        "version": "2.3.5",
        "create_namespace": False,  # the Secret with the certificate is there first
        "images": {"registry": REGISTRY},
        "placement": {"spread": "none"},
    }
    deployment["message_log"]["replicas"] = 1
    for part in (deployment["etcd"], deployment["message_log"], *roles.values()):
        part["resources"] = dict(SMALL)
    return spec


def write(path: Path, spec: dict[str, Any]) -> Path:
    """The spec as a file."""
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path
