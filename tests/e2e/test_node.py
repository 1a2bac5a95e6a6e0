"""The node that the other tests stand on does what a Kubernetes does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.images.recipes import MILVUS
from tests.e2e.node.node import ROOT, Node
from tests.e2e.toolchain.build import Toolchain

STATEFUL_SET = """
apiVersion: v1
kind: Service
metadata: {name: keeper}
spec:
  selector: {app: keeper}
  ports: [{port: 80, targetPort: 8000}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: keeper}
spec:
  serviceName: keeper
  selector: {matchLabels: {app: keeper}}
  template:
    metadata: {labels: {app: keeper}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000}
      containers:
        - name: keeper
          image: IMAGE
          command: [sh, -c, "echo $(hostname) >> /data/starts; exec sleep infinity"]
          volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: 1Gi}}
"""


@pytest.fixture
def keeper(node: Node, namespace: str) -> Callable[..., str]:
    """A pod that notes each of its starts on a volume; calls `kubectl` in its namespace."""

    def kubectl(*arguments: str, stdin: str | None = None) -> str:
        return node.kubectl("-n", namespace, *arguments, stdin=stdin)

    kubectl("apply", "-f", "-", stdin=STATEFUL_SET.replace("IMAGE", MILVUS))
    kubectl("rollout", "status", "statefulset/keeper", "--timeout=180s")
    return kubectl


def test_a_deleted_pod_comes_back_with_its_data(keeper: Callable[..., str]) -> None:
    before = keeper("get", "pod", "keeper-0", "-o", "jsonpath={.metadata.uid}")
    keeper("delete", "pod", "keeper-0")
    keeper("rollout", "status", "statefulset/keeper", "--timeout=180s")
    assert keeper("get", "pod", "keeper-0", "-o", "jsonpath={.metadata.uid}") != before
    assert keeper("exec", "keeper-0", "--", "cat", "/data/starts").split() == ["keeper-0"] * 2


def test_names_of_services_resolve_in_pods(keeper: Callable[..., str], namespace: str) -> None:
    address = keeper("get", "service", "keeper", "-o", "jsonpath={.spec.clusterIP}")
    for name in ("keeper", f"keeper.{namespace}.svc.cluster.local"):
        assert keeper("exec", "keeper-0", "--", "getent", "hosts", name).split()[0] == address
    with pytest.raises(subprocess.CalledProcessError):
        keeper("exec", "keeper-0", "--", "getent", "hosts", "nobody")


def test_a_claim_grows_in_place_and_cannot_shrink(keeper: Callable[..., str]) -> None:
    def resize(size: str) -> None:
        patch = {"spec": {"resources": {"requests": {"storage": size}}}}
        keeper("patch", "pvc", "data-keeper-0", "-p", json.dumps(patch))

    resize("2Gi")
    size = "jsonpath={.status.capacity.storage}"
    keeper("wait", "pvc/data-keeper-0", f"--for={size}=2Gi", "--timeout=180s")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        resize("1Gi")
    assert "can not be less than" in refused.value.stderr


def test_the_volume_of_a_deleted_claim_goes(keeper: Callable[..., str], node: Node) -> None:
    volume = keeper("get", "pvc", "data-keeper-0", "-o", "jsonpath={.spec.volumeName}")
    folder = Path(node.kubectl("get", "pv", volume, "-o", "jsonpath={.spec.local.path}"))
    assert (folder / "starts").exists()
    keeper("delete", "statefulset", "keeper")
    keeper("delete", "pvc", "data-keeper-0")
    node.kubectl("wait", f"pv/{volume}", "--for=delete", "--timeout=180s")
    assert not folder.exists()


def test_a_user_without_rights_is_refused(node: Node, namespace: str) -> None:
    verbs = ("get", "secrets", "-n", namespace, "--as", "nobody")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        node.kubectl(*verbs)
    assert "forbidden" in refused.value.stderr


KILLED = """
import sys, time
from pathlib import Path
from tests.e2e.node.node import Node
from tests.e2e.toolchain.build import build
Node(Path(sys.argv[1]), build()).up()
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: the name of a socket has room for 107 characters."""
    with tempfile.TemporaryDirectory(prefix="kitestring-", ignore_cleanup_errors=True) as made:
        yield Path(made) / "node"


def test_a_killed_run_leaves_no_process_and_is_swept(toolchain: Toolchain, home: Path) -> None:
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        first = Node(home, toolchain)
        assert first.is_up()
        kubeconfig = yaml.safe_load(first.kubeconfig.read_text())
        process.kill()
    deadline = time.monotonic() + 60
    while first.is_up() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not first.is_up()
    with Node(home, toolchain) as second:
        second.up()  # nothing happens: it is up
        assert "kitestring-node" in second.kubectl("get", "nodes")
        assert yaml.safe_load(second.kubeconfig.read_text()) != kubeconfig
        link, cgroup = second.layout.link, second.layout.cgroup
        assert (Path("/sys/class/net") / link).exists()
    second.down()  # nothing happens: it is down
    assert not home.exists()
    assert not (Path("/sys/class/net") / link).exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{cgroup}"))
