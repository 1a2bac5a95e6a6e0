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
from kitestring.drill.space import SINCE
from kitestring.local import running
from kitestring.manifests import drill_home
from kitestring.model.collection import Field, Index, Schema
from kitestring.spec.load import load
from tests.e2e.node.node import Node
from tests.e2e.specs import REGISTRY, SMALL, TINY
from tests.remote_storage import remote_storage

Command = Callable[..., subprocess.Popen[str]]
ROWS, HOME = 500, "drilled-drills"
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
                "jobs": {"drill_target": "kubernetes"},
            },
        }
        file.write_text(yaml.safe_dump(document))
        yield file


@pytest.fixture(scope="module")
def command(node: Node, spec: Path) -> Command:
    """Starts a verb on the spec."""
    keys = {"KUBECONFIG": str(node.kubeconfig), "KS_USER": "user", "KS_SECRET": "a-secret"}

    def start(*arguments: str, kubeconfig: Path | None = None) -> subprocess.Popen[str]:
        own = {"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}
        return subprocess.Popen(
            [sys.executable, "-m", "kitestring", *arguments, "--spec", str(spec)],
            env={**os.environ, **keys, **own},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
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


@pytest.fixture(scope="module")
def rights(node: Node, spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of who has a scheduled drill's rights, in a namespace kept for drills."""
    loaded = load(spec)
    made = drill_home.manifests(loaded.spec, "jobs")
    assert loaded.spec.deployment is not None
    where = loaded.spec.deployment.namespace
    node.kubectl("create", "namespace", where)
    node.kubectl("-n", where, "create", "serviceaccount", "jobs")
    for one in made:
        node.kubectl("apply", "-f", "-", stdin=json.dumps(one.body))
    document = yaml.safe_load(node.kubeconfig.read_text())
    token = node.kubectl("-n", where, "create", "token", "jobs").strip()
    document["users"][0]["user"] = {"token": token}
    file = tmp_path_factory.mktemp("rights") / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    yield file
    for name in (where, HOME):
        node.kubectl("delete", "namespace", name, "--wait=false")


def test_a_drill_in_a_namespace_for_drills_needs_no_other_rights(
    node: Node, command: Command, rights: Path
) -> None:
    """The rights of the chart's Role carry a drill into its restore; interrupted, it leaves the
    namespace empty, for the next one."""
    drill = command(
        "drill", "run", "--target", "kubernetes", "--namespace", HOME, kubeconfig=rights
    )
    assert drill.stderr is not None
    said = []
    for line in drill.stderr:
        said.append(line)
        if line.startswith("copy: "):  # to the target's store, by a port-forward
            drill.send_signal(signal.SIGINT)
            break
    _, more = drill.communicate(timeout=600)
    assert drill.returncode == 130, "".join(said) + more
    kinds = "statefulset,pod,service,configmap,secret,networkpolicy,pvc"
    found = node.kubectl("-n", HOME, "get", kinds, "-o", "name").split()
    assert found == ["configmap/kube-root-ca.crt"]
    marks = node.kubectl("get", "namespace", HOME, "-o", "jsonpath={.metadata.annotations}")
    assert SINCE not in marks
    verdict = subprocess.run(
        [str(node.toolchain.tool("kubectl")), "--kubeconfig", str(rights), "auth", "can-i",
         "list", "secrets", "-n", "default"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert verdict.stdout.strip() == "no"
