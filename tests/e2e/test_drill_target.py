"""A drill to a server of its own on a real Kubernetes: it is compared, and all of it goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kitestring.clients.milvus.client import MilvusServer
from kitestring.local import running
from kitestring.model.collection import Field, Index, Schema
from tests.e2e.node.node import Node
from tests.e2e.site import eventually
from tests.e2e.specs import REGISTRY, SMALL, TINY
from tests.remote_storage import remote_storage

Command = Callable[..., subprocess.Popen[str]]
ROWS = 500
SCHEMA = Schema((Field("id", "INT64", primary=True), Field("v", "FLOAT_VECTOR", dim=8)))


@pytest.fixture(scope="module")
def spec(moto: str, s3_client: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server on this machine with a collection, its segments in a bucket, and a spec that says
    what it would be on Kubernetes."""
    tmp_path = tmp_path_factory.mktemp("drilled")
    s3_client.create_bucket(Bucket="source")
    settings = remote_storage(moto, "source", "files")
    vectors = np.random.default_rng(1).standard_normal((ROWS, 8)).astype(np.float32)
    with (
        running(tmp_path / "milvus", timeout=120, extra_config=settings, remove=True) as state,
        MilvusServer(state.uri, timeout=20) as milvus,
    ):
        milvus.create_collection("docs", SCHEMA)
        milvus.insert("docs", [{"id": n, "v": v.tolist()} for n, v in enumerate(vectors)])
        milvus.create_index(
            "docs", Index("v", "v", "HNSW", "L2", {"M": "8", "efConstruction": "64"})
        )
        milvus.load("docs")
        milvus.delete("docs", [1, 2])
        file = tmp_path / "cluster.yaml"
        document = {
            "version": 1,
            "cluster": {"name": "drilled"},
            "connection": {"uri": state.uri, "timeout": "20s"},
            "state": "state",
            "storage": {
                "type": "s3",
                "bucket": "source",
                "prefix": "files",
                "endpoint_url": moto,
                "access_key": {"env": "KS_USER"},
                "secret_key": {"env": "KS_SECRET"},
            },
            "backup": {"store": {"type": "local", "path": "backups"}},
            "objectives": {"rpo": "24h", "rto": "10m"},
            "deployment": {
                "version": "2.3.5",
                "mode": "standalone",
                "namespace": "e2e-source",
                "images": {"registry": REGISTRY},
                "etcd": {"replicas": 1, "resources": dict(TINY)},
                "minio": {"replicas": 1, "resources": dict(SMALL)},
                "roles": {"standalone": {"resources": {"cpu": "100m", "memory": "2Gi"}}},
            },
        }
        file.write_text(yaml.safe_dump(document))
        yield file


@pytest.fixture(scope="module")
def command(node: Node, spec: Path) -> Command:
    """Starts a verb on the spec."""
    keys = {"KUBECONFIG": str(node.kubeconfig), "KS_USER": "user", "KS_SECRET": "a-secret"}

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "kitestring", *arguments, "--spec", str(spec)],
            env={**os.environ, **keys}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    made = start("backup", "create", "--method", "physical")
    _, said = made.communicate(timeout=120)
    assert made.returncode == 0, said
    return start


def left(node: Node) -> list[str]:
    """Namespaces and volumes of drills."""
    found = []
    for kind in ("namespaces", "persistentvolumes"):
        items = json.loads(node.kubectl("get", kind, "-o", "json"))["items"]
        found += [i["metadata"]["name"] for i in items if "kitestring-drill-" in json.dumps(i)]
    return found


def test_a_drill_stands_on_kubernetes_and_leaves_nothing(node: Node, command: Command) -> None:
    drill = command("drill", "run", "--target", "kubernetes", "--output", "json")
    told, said = drill.communicate(timeout=600)
    assert drill.returncode == 0, said + told
    record = json.loads(told)
    assert (record["passed"], record["target"]) == (True, "kubernetes")
    (score,) = record["collections"]
    assert (score["rows_restored"], score["content_match"], score["deleted_present"]) == (
        ROWS - 2, True, 0,
    )  # fmt: skip
    assert left(node) == []


def test_a_drill_that_is_interrupted_leaves_nothing(node: Node, command: Command) -> None:
    drill = command("drill", "run", "--target", "kubernetes")
    eventually(lambda: bool(left(node)), what="the drill's namespace is there")
    drill.send_signal(signal.SIGINT)
    _, said = drill.communicate(timeout=600)
    assert drill.returncode == 130, said
    eventually(lambda: not left(node), what="the drill's namespace is gone")
