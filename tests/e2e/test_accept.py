"""Whatever the spec allows, a real API server accepts: dry runs, so nothing is made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from kitestring.clients.kube.client import KubeClient
from kitestring.clients.kube.connect import connect
from kitestring.errors import KubernetesDenied, ManifestRejected
from kitestring.manifests.base import Manifest
from kitestring.manifests.build import build
from kitestring.manifests.load import load_bundle
from kitestring.spec.load import load
from kitestring.spec.models import Spec
from tests.deployments import specs
from tests.e2e.node.node import Node

pytestmark = pytest.mark.e2e
CLUSTERS = Path(__file__).parents[2] / "infra" / "clusters"
# the first sessions of a cold server are slow, and a namespace is shared by all examples
CALM = settings(max_examples=40)


@pytest.fixture
def kube(kubeconfig: Path, namespace: str) -> Iterator[KubeClient]:
    """The cluster; the test's namespace takes only pods that the strictest policy allows."""
    with connect(kubeconfig=str(kubeconfig)) as client:
        client.patch(
            "v1",
            "Namespace",
            namespace,
            None,
            {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
        )
        client.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _account(namespace)}
        )
        yield client


def _account(namespace: str) -> dict[str, str]:
    return {"name": "default", "namespace": namespace}  # made by a controller, sooner or later


def _moved(body: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """An object in the test's namespace."""
    if body["kind"] == "Namespace":
        return {**body, "metadata": {**body["metadata"], "name": namespace}}
    return {**body, "metadata": {**body["metadata"], "namespace": namespace}}


def _pod(manifest: Manifest, namespace: str) -> dict[str, Any] | None:
    """A pod as the object's controller would make it."""
    spec = manifest.body.get("spec", {})
    template = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template")
    if template is None:
        return None
    claims = [
        {"name": c["metadata"]["name"], "persistentVolumeClaim": {"claimName": "any"}}
        for c in spec.get("volumeClaimTemplates", [])
    ]
    body = {k: v for k, v in template["spec"].items() if k != "serviceAccountName"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "one",
            "namespace": namespace,
            "labels": template["metadata"]["labels"],
        },
        "spec": {**body, "volumes": [*body.get("volumes", []), *claims]},
    }


@CALM
@given(spec=specs())
def test_whatever_the_spec_allows_is_accepted(kube: KubeClient, namespace: str, spec: Spec) -> None:
    for manifest in build(spec).manifests:
        kube.apply_dry_run(_moved(manifest.body, namespace))


@CALM
@given(spec=specs())
def test_every_pod_passes_the_restricted_policy(
    kube: KubeClient, namespace: str, spec: Spec
) -> None:
    for manifest in build(spec).manifests:
        pod = _pod(manifest, namespace)
        if pod is not None:
            kube.apply_dry_run(pod)


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_stacks_are_accepted(kube: KubeClient, namespace: str, name: str) -> None:
    """With the day-2 jobs, and what drills to Kubernetes need."""
    jobs = {
        "KITESTRING__DEPLOYMENT__IMAGES__KITESTRING": "registry.example/kitestring:1",
        "KITESTRING__DEPLOYMENT__JOBS__DRILL_TARGET": "kubernetes",
    }
    spec = load(CLUSTERS / f"{name}.yaml", jobs).spec
    files = {c.golden: "queries: []\n" for c in spec.collections if c.golden}
    bundle = build(spec, files=files)
    assert {"CronJob", "Role", "RoleBinding"} <= {m.kind for m in bundle.manifests}
    for manifest in bundle.manifests:
        kube.apply_dry_run(_moved(manifest.body, namespace))


def test_what_is_rendered_passes_a_dry_run_once_its_namespace_is_there(
    node: Node, namespace: str, tmp_path: Path
) -> None:
    """The two commands of docs/how-to/provision.md, on a cluster that has never seen the spec."""
    text = (CLUSTERS / "prod.yaml").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("  namespace: ")]
    new = f"{namespace}-new"
    file = tmp_path / "prod.yaml"
    file.write_text(text.replace(line, f"  namespace: {new}"))

    def rendered(*arguments: str) -> str:
        command = [sys.executable, "-m", "kitestring", "provision", "render", "--spec", str(file)]
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=True
        ).stdout

    node.kubectl("apply", "-f", "-", stdin=rendered("--component", "namespace"))
    try:
        said = node.kubectl("apply", "--dry-run=server", "-f", "-", stdin=rendered())
    finally:
        node.kubectl("delete", "namespace", new, "--wait=false")
    assert said.count("(server dry run)") == rendered().count("\nkind: ")


def test_a_field_that_does_not_exist_is_not_accepted(kube: KubeClient, namespace: str) -> None:
    bundle = load_bundle(load(CLUSTERS / "dev.yaml"))
    (config,) = [m for m in bundle.manifests if m.kind == "ConfigMap"]
    with pytest.raises(ManifestRejected):
        kube.apply_dry_run({**_moved(config.body, namespace), "dats": {}})


def test_a_pod_with_more_rights_is_not_accepted(kube: KubeClient, namespace: str) -> None:
    bundle = load_bundle(load(CLUSTERS / "dev.yaml"))
    (etcd,) = [m for m in bundle.of("etcd") if m.kind == "StatefulSet"]
    pod = _pod(etcd, namespace)
    assert pod is not None
    del pod["spec"]["securityContext"]
    with pytest.raises((ManifestRejected, KubernetesDenied), match="violates PodSecurity"):
        kube.apply_dry_run(pod)
