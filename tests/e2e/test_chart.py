"""The chart's jobs on a real node, against a Milvus made from rendered manifests: a backup, checks,
and a drill that restores the backup inside its pod. The image is what the Dockerfile's lines make.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.clients.milvus.way import way_of
from kitestring.provision.root_password import ensure_root_password, password_in_cluster
from kitestring.spec.load import load
from tests.e2e.images.recipes import JOBS, REGISTRY
from tests.e2e.node.node import ROOT, Node

CHART = ROOT / "charts" / "kitestring"
DEADLINE = 300.0  # seconds for a rollout or a job on a busy machine
_RESOURCES = {"cpu": "50m", "memory": "1Gi"}


@dataclass
class Site:
    """A namespace with a Milvus, and what is needed to work on it."""

    node: Node
    namespace: str
    spec_file: Path

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120.0) -> str:
        return self.node.kubectl("-n", self.namespace, *arguments, stdin=stdin, timeout=timeout)

    def kitestring(self, *arguments: str) -> str:
        """Data that a verb prints; the spec is the site's."""
        command = [sys.executable, "-m", "kitestring", *arguments, "--spec", str(self.spec_file)]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def helm(self, *arguments: str) -> str:
        program = str(self.node.toolchain.tool("helm"))
        done = subprocess.run(
            [program, "-n", self.namespace, "--kubeconfig", str(self.node.kubeconfig), *arguments],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, values: Path) -> None:
        self.helm("upgrade", "--install", "day2", str(CHART), "-f", str(values))

    def run_job(self, cron_job: str) -> tuple[bool, str]:
        """Runs a CronJob's job now; whether it succeeded, and the pod's log."""
        name = f"{cron_job}-now"
        self.kubectl("create", "job", f"--from=cronjob/{cron_job}", name)
        end = time.monotonic() + DEADLINE
        while True:
            status = json.loads(self.kubectl("get", "job", name, "-o", "json"))["status"]
            done = {c["type"] for c in status.get("conditions", []) if c["status"] == "True"}
            if done & {"Complete", "Failed"}:
                return "Complete" in done, self.kubectl("logs", f"job/{name}")
            if time.monotonic() > end:
                pods = self.kubectl("describe", "pod", "-l", f"job-name={name}")
                pytest.fail(f"{name} did not end:\n{pods[-4000:]}")
            time.sleep(0.5)  # the API server's pace; the end is a condition, not a time


@pytest.fixture(scope="module")
def site(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A small standalone Milvus with one collection of documents."""
    namespace = f"t-{secrets.token_hex(4)}"
    node.kubectl("create", "namespace", namespace)
    yield make_site(node, namespace, tmp_path_factory.mktemp("site"))
    node.kubectl("delete", "namespace", namespace, "--wait=false")


def make_site(node: Node, namespace: str, folder: Path) -> Site:
    """Makes it in a namespace that is there: manifests, password, documents."""
    node.load([JOBS])
    spec: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "clusters" / "dev.yaml").read_text())
    spec.pop("access")  # users' passwords are not what this is about
    spec["state"] = str(folder / "state")
    spec["connection"] = {"kubernetes": {"kubeconfig": str(node.kubeconfig)}}
    spec["collections"][0].pop("golden")
    spec["objectives"]["rto"] = "1h"  # the machine is small and shared
    deployment = spec["deployment"]
    deployment["namespace"], deployment["create_namespace"] = namespace, False
    deployment["images"] = {"registry": REGISTRY, "kitestring": JOBS, "pull_policy": "Never"}
    deployment["jobs"] = {
        "resources": _RESOURCES,
        "drill_resources": {"cpu": "50m", "memory": "3Gi"},
        "volume": {"size": "2Gi"},
    }
    spec["deployment"]["roles"]["standalone"]["resources"] = {"cpu": "100m", "memory": "2Gi"}
    spec_file = folder / "spec.yaml"
    spec_file.write_text(yaml.safe_dump(spec))
    site = Site(node, namespace, spec_file)
    site.kubectl("create", "-f", "-", stdin=site.kitestring("provision", "secrets"))
    # everything but the jobs: those are the chart's
    documents = yaml.safe_load_all(site.kitestring("provision", "render"))
    app = "app.kubernetes.io/name"
    milvus = [d for d in documents if d["metadata"]["labels"].get(app) != "kitestring"]
    site.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(milvus))
    for name in ("etcd", "minio", "standalone"):
        timeout = f"--timeout={DEADLINE:.0f}s"
        site.kubectl("rollout", "status", f"statefulset/dev-{name}", timeout, timeout=DEADLINE + 10)
    loaded = load(spec_file, {})
    ensure_root_password(way_of(loaded), password_in_cluster(loaded, way_of(loaded)))
    site.kitestring("ingest", str(ROOT / "docs" / "decisions"), "--collection", "docs_v1")
    return site


def test_the_jobs_do_what_they_are_for(site: Site, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(site.kitestring("provision", "values"))
    site.kubectl("label", "namespace", site.namespace,
                 "pod-security.kubernetes.io/enforce=restricted")  # fmt: skip
    site.install(values)

    good, log = site.run_job("dev-backup")
    assert good, log
    assert "docs_v1" in log
    for name in ("dev-embedding", "dev-compaction"):
        good, log = site.run_job(name)
        assert good, f"{name}: {log}"

    good, log = site.run_job("dev-drill")
    assert good, log
    record = json.loads(log[log.index("\n{\n") :])  # behind what the drill told meanwhile
    assert record["passed"] is True, log


def test_a_verdict_is_not_tried_again(site: Site, tmp_path: Path) -> None:
    values = yaml.safe_load(site.kitestring("provision", "values"))
    # somebody wants a collection that nobody made: drift, exit code 2
    text = values["spec"]["text"].replace("name: docs_v1", "name: docs_v2")
    values["spec"]["text"] = text
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    site.install(tmp_path / "values.yaml")
    good, log = site.run_job("dev-drift")
    assert not good, log
    pods = json.loads(site.kubectl("get", "pod", "-l", "job-name=dev-drift-now", "-o", "json"))
    codes = [p["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]
             for p in pods["items"]]  # fmt: skip
    assert codes == [2], log


def test_the_release_leaves_the_volume(site: Site, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(site.kitestring("provision", "values"))
    site.install(values)
    site.helm("uninstall", "day2", "--wait")
    assert "dev-jobs" in site.kubectl("get", "pvc", "-o", "name")
    assert "cronjob" not in site.kubectl("get", "cronjob", "-o", "name")
