"""Rendered manifests on a real API server (etcd and kube-apiserver, without nodes): what somebody
changes by hand is found, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from kitestring.clients.kube.connect import connect
from kitestring.errors import KubernetesDenied, KubernetesUnreachable, ProvisionRefused
from kitestring.manifests.load import load_bundle
from kitestring.observe.infra import compare_bundle
from kitestring.provision.preflight import preflight, refuse, require_preflight
from kitestring.spec.load import load
from tests.e2e.node.apiserver import ApiServer, running_apiserver
from tests.e2e.pulumi_engine import Engine
from tests.e2e.site import eventually
from tests.e2e.toolchain.build import Toolchain

REPOSITORY = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "programs" / "engine"
SPEC = """\
version: 1
cluster: {name: NAME}
connection: {kubernetes: {kubeconfig: KUBECONFIG}}
state: state
storage: {type: s3, bucket: milvus, prefix: files}
deployment:
  version: "2.5.16"
  mode: cluster
  namespace: NAME
  minio: {}
  etcd: {replicas: 3, volume: {size: 10Gi}}
  message_log: {type: kafka, replicas: 1}
  roles:
    proxy: {replicas: 2}
    query_node:
      autoscale: {minimum: 2, maximum: 4, cpu_percent: 70}
      resources: {cpu: 1000m, memory: 4096Mi}
    data_node: {replicas: 1}
    index_node: {replicas: 1}
"""
SET = "spec.template.spec.containers[milvus]"


@dataclass(frozen=True)
class Site:
    """A spec with a namespace of its own, and the API server."""

    server: ApiServer
    kubectl_path: Path
    file: Path
    name: str

    def kubectl(self, *arguments: str, text: str = "") -> str:
        done = subprocess.run(
            [str(self.kubectl_path), f"--kubeconfig={self.server.kubeconfig}", *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def hand(self, *arguments: str) -> None:
        """What somebody does by hand in the deployment's namespace."""
        self.kubectl("-n", self.name, *arguments)

    def kitestring(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "kitestring", *arguments, "--spec", str(self.file)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def edit(self, old: str, new: str) -> None:
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def apply(self, *flags: str) -> None:
        """`render | kubectl apply`, and the Secrets the first time."""
        rendered = self.kitestring("provision", "render")
        assert rendered.returncode == 0, rendered.stderr
        self.kubectl("apply", *flags, "-f", "-", text=rendered.stdout)
        if not self.kubectl("-n", self.name, "get", "secrets", "-o", "name"):
            self.kubectl("create", "-f", "-", text=self.kitestring("provision", "secrets").stdout)

    def compare(self):
        loaded = load(self.file)
        with connect(None, str(self.server.kubeconfig)) as kube:
            return compare_bundle(
                load_bundle(loaded), kube, namespace=self.name, instance=self.name
            )

    def told(self) -> list[tuple[str, str, str, str, str]]:
        """(object, field, expected, observed, who) of every difference."""
        return sorted(
            (f"{one.ref.kind}/{one.ref.name}", c.path, c.expected, c.observed, c.manager)
            for one in self.compare().changed
            for c in one.changes
        )


@pytest.fixture(scope="module")
def apiserver(
    toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    with running_apiserver(
        toolchain.tool("kube-apiserver"),
        toolchain.tool("etcd"),
        tmp_path_factory.mktemp("apiserver"),
    ) as server:
        yield server


@pytest.fixture
def site(apiserver, toolchain, tmp_path, request) -> Site:
    name = request.node.name.split("[")[0].removeprefix("test_").replace("_", "-")[:24].strip("-")
    file = tmp_path / "spec.yaml"
    text = SPEC.replace("NAME", name).replace("KUBECONFIG", str(apiserver.kubeconfig))
    file.write_text(text)
    return Site(apiserver, toolchain.tool("kubectl"), file, name)


@pytest.fixture
def applied(site) -> Site:
    site.apply("--server-side", "--field-manager=pulumi-kubernetes-1a2b")
    return site


def test_before_and_after(site):
    before = site.kitestring("provision", "render", "--diff")
    assert before.returncode == 2, before.stderr
    assert before.stdout.count("is not there") == site.compare().objects
    site.apply("--server-side")
    after = site.kitestring("provision", "render", "--diff")
    assert (after.returncode, after.stderr) == (0, "")
    assert "0 missing, 0 changed, 0 extra" in after.stdout


def test_client_side(site):
    """`kubectl apply` without --server-side: another bookkeeping, the same answer."""
    site.apply()
    assert site.compare().same
    site.edit("proxy: {replicas: 2}", "proxy: {replicas: 3}")
    name = f"{site.name}-proxy"
    assert [found[:4] for found in site.told() if found[1] == "spec.replicas"] == [
        (f"Deployment/{name}", "spec.replicas", "3", "2")
    ]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_shipped(stack, site):
    site.file.write_text((REPOSITORY / f"infra/clusters/{stack}.yaml").read_text())
    golden = site.file.parent.parent / "golden"
    golden.mkdir(exist_ok=True)
    for file in (REPOSITORY / "infra/golden").iterdir():
        (golden / file.name).write_bytes(file.read_bytes())
    loaded = load(site.file)
    assert loaded.spec.deployment is not None
    rendered = site.kitestring("provision", "render")
    assert rendered.returncode == 0, rendered.stderr
    site.kubectl("apply", "--server-side", "-f", "-", text=rendered.stdout)
    with connect(None, str(site.server.kubeconfig)) as kube:
        found = compare_bundle(
            load_bundle(loaded),
            kube,
            namespace=loaded.spec.deployment.namespace,
            instance=loaded.spec.cluster.name,
        )
    assert (found.changed, found.extra) == ((), ())
    assert {ref.kind for ref in found.missing} <= {"Secret"}  # those are not rendered


def test_by_hand(applied):
    n = applied.name
    applied.hand("scale", f"deploy/{n}-proxy", "--replicas=5")
    applied.hand("set", "image", f"deploy/{n}-data-node", "milvus=milvusdb/milvus:v2.4.0")
    applied.hand("set", "env", f"deploy/{n}-data-node", "EXTRA=1", "DB_PASSWORD=hunter2")
    applied.hand("label", f"service/{n}-milvus", "team=x")
    applied.hand("label", f"service/{n}-milvus", "app.kubernetes.io/managed-by=me", "--overwrite")
    applied.hand("patch", f"service/{n}-milvus", "-p", '{"spec": {"type": "NodePort"}}')
    applied.hand("delete", f"statefulset/{n}-etcd", "--wait=false")
    applied.hand("create", "configmap", "stray", "--from-literal=a=b")
    applied.hand("label", "configmap/stray", f"app.kubernetes.io/instance={n}")

    image = f"{SET}.image"
    wanted = "docker.io/milvusdb/milvus:v2.5.16"
    label = "metadata.labels[app.kubernetes.io/managed-by]"
    assert applied.told() == [
        (
            f"Deployment/{n}-data-node",
            f"{SET}.env[DB_PASSWORD]",
            "",
            "(secret)",
            "kubectl-set",
        ),
        (
            f"Deployment/{n}-data-node",
            f"{SET}.env[EXTRA]",
            "",
            '{"name": "EXTRA", "value": "1"}',
            "kubectl-set",
        ),
        (f"Deployment/{n}-data-node", image, wanted, "milvusdb/milvus:v2.4.0", "kubectl-set"),
        (f"Deployment/{n}-proxy", "spec.replicas", "2", "5", "kubectl (scale)"),
        (f"Service/{n}-milvus", "metadata.labels.team", "", "x", "kubectl-label"),
        (f"Service/{n}-milvus", label, "kitestring", "me", "kubectl-label"),
        (f"Service/{n}-milvus", "spec.type", "ClusterIP", "NodePort", "kubectl-patch"),
    ]
    found = applied.compare()
    assert [str(ref) for ref in found.missing] == [f"StatefulSet/{n}/{n}-etcd"]
    assert [(str(e.ref), e.manager) for e in found.extra] == [
        (f"ConfigMap/{n}/stray", "kubectl-create")
    ]

    drift = applied.kitestring("drift", "--only", "infra", "-o", "json")
    assert drift.returncode == 2, drift.stderr
    assert "hunter2" not in drift.stdout
    report = json.loads(drift.stdout)
    by_check = {
        check: sorted(f["subject"].split("/", 4)[-1] for f in report["findings"]
                      if f["check"] == check)
        for check in ("infra.changed", "infra.added", "infra.missing", "infra.extra")
    }  # fmt: skip
    assert {check: len(subjects) for check, subjects in by_check.items()} == {
        "infra.changed": 4,
        "infra.added": 3,
        "infra.missing": 1,
        "infra.extra": 1,
    }
    proxy = next(f for f in report["findings"] if f["subject"].endswith("proxy/spec.replicas"))
    lines = applied.file.read_text().splitlines()
    assert lines[proxy["location"]["line"] - 1].strip().startswith("proxy:")

    # what was declared comes back by an apply; what was added has to be taken away
    applied.apply("--server-side", "--field-manager=pulumi-kubernetes-1a2b", "--force-conflicts")
    assert {found[1] for found in applied.told()} == {
        f"{SET}.env[DB_PASSWORD]",
        f"{SET}.env[EXTRA]",
        "metadata.labels.team",
    }
    applied.hand("set", "env", f"deploy/{n}-data-node", "EXTRA-", "DB_PASSWORD-")
    applied.hand("label", f"service/{n}-milvus", "team-")
    applied.hand("delete", "configmap/stray")
    assert applied.kitestring("provision", "diff").returncode == 0


def test_autoscaled(applied):
    applied.hand("scale", f"deploy/{applied.name}-query-node", "--replicas=4")
    applied.hand("rollout", "restart", f"deploy/{applied.name}-proxy")
    assert applied.compare().same


def test_spec_moved(applied):
    """What the spec changed since the last apply is told apart from what was changed by hand."""
    n = applied.name
    applied.hand("scale", f"deploy/{n}-data-node", "--replicas=3")
    applied.edit("proxy: {replicas: 2}", "proxy: {replicas: 3}")
    origins = {
        one.ref.name: change.origin
        for one in applied.compare().changed
        for change in one.changes
        if change.path == "spec.replicas"
    }
    assert origins == {f"{n}-proxy": "spec", f"{n}-data-node": "hand"}
    drift = applied.kitestring("drift", "--only", "infra.pending", "-o", "json")
    subjects = [f["subject"] for f in json.loads(drift.stdout)["findings"]]
    assert f"{n}/Deployment/{n}/{n}-proxy/spec.replicas" in subjects
    assert f"{n}/Deployment/{n}/{n}-data-node/spec.replicas" not in subjects


def test_shrinking(applied):
    applied.edit("volume: {size: 10Gi}", "volume: {size: 5Gi}")
    refused = [one for one in applied.compare().changed if one.rejected]
    assert {one.ref.kind for one in refused} == {"PersistentVolumeClaim"}
    assert {(c.path, c.expected, c.observed) for one in refused for c in one.changes} == {
        ("spec.resources.requests.storage", "5Gi", "10Gi")
    }
    with pytest.raises(ProvisionRefused, match="can't shrink"):
        require_preflight(load(applied.file))


def test_preflight(site):
    """A cluster that has no storage class, looked at before anything is there."""
    with connect(None, str(site.server.kubeconfig)) as kube:
        problems = preflight(load(site.file), kube)
        assert [(p.check, p.inconclusive) for p in problems] == [
            ("storage-class", False),
            ("nodes", True),
        ]
        kube.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {
                    "name": "standard",
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": "example.com/none",
            }
        )
        try:
            problems = preflight(load(site.file), kube)
        finally:
            kube.delete("storage.k8s.io/v1", "StorageClass", "standard")
        assert [p.check for p in problems] == ["nodes"]
        refuse(problems)
        assert kube.get("v1", "Namespace", site.name) is None


def test_bucket_that_is_not_there(site, moto, s3_client, monkeypatch):
    """With an S3 of somebody else's: said before anything is made, and gone once it is there."""
    storage = "storage: {type: s3, bucket: milvus, prefix: files}"
    keys = "access_key: {env: KS_USER}, secret_key: {env: KS_SECRET}"
    place = f"bucket: not-there, endpoint_url: '{moto}', region: us-east-1, {keys}"
    site.edit(storage, f"storage: {{type: s3, {place}}}")
    site.edit("  minio: {}\n", "")
    monkeypatch.setenv("KS_USER", "user")
    monkeypatch.setenv("KS_SECRET", "a-secret")

    def told() -> list[str]:
        done = site.kitestring("provision", "preflight", "--output", "json")
        assert done.returncode == 2, done.stderr  # there is no storage class either
        problems = json.loads(done.stdout)["problems"]
        return [p["message"] for p in problems if p["check"] == "bucket"]

    (message,) = told()
    assert "there is no bucket `not-there`" in message
    s3_client.create_bucket(Bucket="not-there")
    assert told() == []


def test_no_rights(applied):
    with (
        connect("guest", str(applied.server.kubeconfig)) as kube,
        pytest.raises(KubernetesDenied, match="guest"),
    ):
        compare_bundle(
            load_bundle(load(applied.file)), kube, namespace=applied.name, instance=applied.name
        )
    drift = applied.kitestring("drift", "--only", "infra", "--context", "guest")
    assert drift.returncode == 1
    assert "may not do this" in drift.stderr


def test_zy_server_goes_away_half_way(site, toolchain, tmp_path):
    """`pulumi up` waits for a workload, and the API server stops: a clear error, and a state that
    the next `pulumi up` goes on from."""
    engine = Engine(tmp_path, toolchain.folders, site.server.kubeconfig, program=PROGRAM)
    engine.init({"namespace": "half-way", "replicas": "1", "await": "true"})
    site.kubectl("create", "namespace", "half-way")

    def made() -> bool:
        return bool(site.kubectl("-n", "half-way", "get", "deployment", "-o", "name"))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(engine.up, check=False)
        eventually(made, what="the workload is there, and not ready")
        site.server.stop()
        try:
            failed = running.result(timeout=300)
        finally:
            site.server.start()
    assert not failed.ok
    assert any("unreachable" in m for m in failed.messages), failed.output
    assert "Traceback" not in failed.output
    urns = {r["urn"].split("::")[-1] for r in engine.export()["deployment"]["resources"]}
    assert {"settings", "password"} <= urns  # what was made is known

    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    ready = {"status": {"observedGeneration": 1, **counts}}  # nobody else says so here
    site.kubectl("-n", "half-way", "patch", "deployment", "workload", "--subresource=status",
                 "-p", json.dumps(ready))  # fmt: skip
    assert {step.name for step in engine.up().changed} <= {"workload", "engine-dev"}
    assert engine.preview().unchanged


def test_zz_server_goes_away(applied):
    """Last of this file: the server is stopped, and comes back with what it had."""
    applied.server.stop()
    try:
        with pytest.raises(KubernetesUnreachable, match="no Kubernetes API server answers"):
            applied.compare()
        drift = applied.kitestring("drift", "--only", "infra")
        assert (drift.returncode, drift.stdout) == (1, "")
        assert "Traceback" not in drift.stderr
        assert "hint:" in drift.stderr
    finally:
        applied.server.start()
    assert applied.compare().same
