"""A stack that the tests provision: the spec, the engine that brings it about, and its server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.milvus.connect import connect
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from tests.e2e.node.api import Api
from tests.e2e.node.node import Node
from tests.e2e.pulumi_engine import Engine
from tests.e2e.specs import write
from tests.e2e.toolchain.build import Toolchain


@dataclass
class Site:
    """One deployment on the test node."""

    node: Node
    engine: Engine
    file: Path
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.spec["cluster"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.spec["deployment"]["namespace"])

    @property
    def loaded(self) -> LoadedSpec:
        return load(self.file, {})

    def save(self) -> None:
        """Writes the spec as it stands now."""
        write(self.file, self.spec)

    def milvus(self) -> MilvusServer:
        """A client with the generated password, through a port-forward."""
        return connect(self.loaded)

    def kubectl(self, *arguments: str) -> str:
        return self.node.kubectl("-n", self.namespace, *arguments)

    def kitestring(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A verb on this spec, as a user runs it."""
        return subprocess.run(
            [sys.executable, "-m", "kitestring", *arguments, "--spec", str(self.file)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def drift(self) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and findings of `kitestring drift --only infra`."""
        done = self.kitestring("drift", "--only", "infra", "--output", "json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)["findings"]

    def pods(self, component: str) -> list[dict[str, Any]]:
        """Pods of a component (`query-node`) that are not on their way out."""
        return [pod for pod in self._pods() if _component(pod) == component]

    def ready(self, component: str) -> int:
        """How many pods of a component are ready."""
        return self.all_ready()[component]

    def all_ready(self) -> Counter[str]:
        """How many pods are ready, by component."""
        return Counter(
            _component(pod)
            for pod in self._pods()
            if any(
                c["type"] == "Ready" and c["status"] == "True"
                for c in pod["status"].get("conditions", ())
            )
        )

    def _pods(self) -> list[dict[str, Any]]:
        """Asked over a connection that is kept: tests ask often, and `kubectl` is a process."""
        found = self._api.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return [p for p in found if not p["metadata"].get("deletionTimestamp")]

    @cached_property
    def _api(self) -> Api:
        return Api(self.node.kubeconfig, timeout=60)


def _component(pod: dict[str, Any]) -> str:
    return str(pod["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""))


@contextmanager
def new_site(node: Node, toolchain: Toolchain, work: Path, spec: dict[str, Any]) -> Iterator[Site]:
    """A site whose stack is not up yet; its namespace goes when the block ends."""
    file = write(work / f"{spec['cluster']['name']}.yaml", spec)
    engine = Engine(work / "engine", toolchain.folders, kubeconfig=node.kubeconfig)
    engine.init({"kitestring:spec": str(file)})
    site = Site(node, engine, file, spec)
    yield site
    node.kubectl("delete", "namespace", site.namespace, "--ignore-not-found", "--wait=false")


def eventually(condition: Callable[[], bool], *, what: str, timeout: float = 180) -> float:
    """Waits until something is so; returns the seconds that it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > timeout:
            raise AssertionError(f"after {timeout:.0f} s still not so: {what}")
        time.sleep(0.5)
    return time.monotonic() - began
