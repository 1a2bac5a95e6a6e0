"""What a stack declares: Pulumi's mocks stand for the engine."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from kitestring.manifests.base import Manifest
from kitestring.provision.cluster import MilvusCluster, MilvusClusterArgs, in_order
from kitestring.provision.resources import token
from kitestring.provision.stack import MilvusStack, Settings
from kitestring.spec.load import load

from .pulumi_mocks import PASSWORD, Declared, Program, opened

CLUSTERS = Path(__file__).resolve().parents[3] / "infra" / "clusters"


def stack_of(spec: Path, revision: float | None = 1.0) -> Program:
    return Program(revision).run(lambda: MilvusStack(Settings(spec, preflight=False)))


@pytest.fixture(scope="module")
def dev() -> Program:
    return stack_of(CLUSTERS / "dev.yaml")


@pytest.fixture(scope="module")
def prod() -> Program:
    return stack_of(CLUSTERS / "prod.yaml")


def cluster_of(path: Path) -> Program:
    """The cluster alone, without what is inside of it."""

    def program() -> None:
        args = MilvusClusterArgs.from_spec(load(path).spec)
        MilvusCluster("c", args)

    return Program().run(program)


def edited(tmp_path: Path, name: str, old: str, new: str) -> Path:
    text = (CLUSTERS / name).read_text()
    assert old in text
    path = tmp_path / name
    path.write_text(text.replace(old, new))
    return path


def workloads(program: Program) -> list[Declared]:
    return program.of("Deployment") + program.of("StatefulSet")


def test_a_stack_is_a_component_with_a_child_for_each_part(prod: Program) -> None:
    types = {r.type.removeprefix("kitestring:index:"): r for r in prod.resources}
    parts = {
        "MilvusCluster", "Foundation", "Credentials", "MetadataStore", "MessageLog",
        "Coordinators", "Proxy", "QueryNodes", "DataNodes", "IndexNodes", "MilvusObjects",
    }  # fmt: skip
    assert parts <= set(types)
    assert "ObjectStorage" not in types, "the bucket is somebody else's"
    parent = types["QueryNodes"].request.parent
    assert parent.endswith("kitestring:index:MilvusCluster::prod-eu")


def test_what_holds_data_is_protected_and_outlives_the_stack(dev: Program) -> None:
    kept = {r.name for r in dev.resources if r.request.protect}
    assert kept == {r.name for r in dev.resources if r.request.retainOnDelete}
    assert {r.name for r in dev.of("PersistentVolumeClaim")} <= kept
    assert {r.name for r in dev.of("Namespace")} <= kept
    assert {"dev-root", "dev-minio", "dev-users", "dev-tls"} <= kept
    assert len(dev.of("PersistentVolumeClaim")) == 3
    assert not {r.name for r in workloads(dev)} & (kept - {"dev-minio"})


def test_nothing_is_kept_where_the_spec_says_so(tmp_path: Path) -> None:
    path = edited(tmp_path, "dev.yaml", "  mode: standalone\n",
                  "  mode: standalone\n  keep_volumes: false\n")  # fmt: skip
    program = cluster_of(path)
    assert program.of("PersistentVolumeClaim")
    assert [r.name for r in program.resources if r.request.protect] == []
    assert [r.name for r in program.resources if r.request.retainOnDelete] == []


def test_pods_wait_for_what_they_need(dev: Program) -> None:
    milvus = dev.one("StatefulSet", "dev-standalone").depends_on
    assert {"dev-etcd", "dev-minio", "dev-config", "dev-root", "dev-tls"} <= milvus
    assert "dev-data-dev-standalone-0" in milvus
    for manifest in dev.resources:
        if manifest.type.startswith("kubernetes:") and manifest.kind != "Namespace":
            assert "dev-milvus-dev" in manifest.depends_on, manifest.name
    (root,) = dev.of("RootPassword")
    assert {"dev-standalone", "dev-milvus"} <= root.depends_on
    (collection,) = dev.of("Collection")
    assert "dev-root-password" in collection.depends_on


def test_roles_roll_in_the_order_of_the_version(prod: Program) -> None:
    def waits(role: str, other: str) -> bool:
        waiting = prod.one("Deployment", f"prod-eu-{role}").waits_for
        return f"Deployment/prod-eu-{other}" in waiting

    # Milvus 2.5: index nodes, coordinators, query nodes, data nodes, and the proxies last
    assert waits("coordinator", "index-node")
    assert waits("query-node", "coordinator")
    assert waits("data-node", "query-node")
    assert waits("proxy", "data-node")
    assert not waits("index-node", "proxy")


def test_budgets_where_there_is_more_than_one_pod(prod: Program, dev: Program) -> None:
    budgets = {b.kubernetes_name for b in prod.of("PodDisruptionBudget")}
    assert {"prod-eu-query-node", "prod-eu-proxy", "prod-eu-etcd", "prod-eu-kafka"} <= budgets
    assert dev.of("PodDisruptionBudget") == []


def test_replicas_belong_to_the_autoscaler(prod: Program) -> None:
    (scaler,) = prod.of("HorizontalPodAutoscaler")
    assert scaler.inputs["spec"]["maxReplicas"] == 6
    proxy = prod.one("Deployment", scaler.inputs["spec"]["scaleTargetRef"]["name"])
    owned = list(proxy.request.ignoreChanges)
    assert "replicas" not in proxy.inputs["spec"] or "spec.replicas" in owned


def test_claims_of_a_stateful_set_are_resources_of_their_own(prod: Program) -> None:
    claims = {r.kubernetes_name for r in prod.of("PersistentVolumeClaim")}
    assert {f"data-prod-eu-etcd-{i}" for i in range(3)} <= claims
    ignored = list(prod.one("StatefulSet", "prod-eu-etcd").request.ignoreChanges)
    assert "spec.volumeClaimTemplates" in ignored


def test_names_in_a_manifest_stay_as_they_are(dev: Program) -> None:
    pod = dev.one("StatefulSet", "dev-standalone").inputs["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert not any("_" in key for key in pod)


def test_secrets_are_secret_and_made_from_plans_without_values(dev: Program) -> None:
    for made in dev.of("SecretValues"):
        assert {"values", "references"} <= set(made.request.additionalSecretOutputs)
        assert PASSWORD not in json.dumps(made.inputs["recipe"])
        assert "values" not in {k for k, v in made.inputs.items() if v is not None}
    secret = dev.one("Secret", "dev-root")
    assert "data" in secret.request.additionalSecretOutputs
    # a secret is wrapped on its way to the engine
    wrapped = secret.request.object.fields["data"].struct_value.fields
    assert wrapped["4dabf18193072939515e22adb298388d"].string_value
    found = opened(secret.inputs["data"])["password"]
    assert base64.b64decode(found).decode() == PASSWORD


def notes(workload: Declared) -> dict[str, str]:
    """The annotations of a workload's pods."""
    found: dict[str, str] = workload.inputs["spec"]["template"]["metadata"].get("annotations", {})
    return found


def test_pods_are_made_anew_when_a_secret_that_they_read_changes(dev: Program) -> None:
    later = stack_of(CLUSTERS / "dev.yaml", revision=2.0)
    before, after = ({w.kubernetes_name: notes(w) for w in workloads(p)} for p in (dev, later))
    assert before["dev-standalone"]["kitestring/secrets"] == "dev-minio=1,dev-tls=1"
    assert after["dev-standalone"]["kitestring/secrets"] == "dev-minio=2,dev-tls=2"
    assert after["dev-minio"] == {"kitestring/secrets": "dev-minio=2"}
    assert before["dev-etcd"] == after["dev-etcd"] == {}
    assert before["dev-standalone"]["kitestring/config"], "the manifest's own are still there"


def test_a_stack_made_before_revisions_were_counted_leaves_its_pods_alone() -> None:
    old = stack_of(CLUSTERS / "dev.yaml", revision=None)
    assert all("kitestring/secrets" not in notes(w) for w in workloads(old))


def test_no_program_text_holds_the_password(dev: Program) -> None:
    hidden = {"SecretValues", "Secret", "RootPassword"}
    for resource in dev.resources:
        if resource.kind not in hidden:
            assert PASSWORD not in json.dumps(resource.inputs, default=str), resource.name
        assert PASSWORD not in str(resource.inputs.get("__provider", "")), resource.name


def test_the_provider_of_a_dynamic_resource_is_no_more_than_a_name(dev: Program) -> None:
    seen = [r for r in dev.resources if "__provider" in r.inputs]
    assert seen
    for resource in seen:
        pickled = base64.b64decode(opened(resource.inputs["__provider"]))
        assert b"kitestring.provision" in pickled, resource.name
        assert len(pickled) < 400, resource.name


def test_components_wait_in_an_order_that_exists() -> None:
    def manifest(component: str, *after: str) -> Manifest:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": component}}
        return Manifest(component, body, after=after)

    made = in_order([manifest("proxy", "query"), manifest("query", "etcd"), manifest("etcd")])
    assert [m.component for m in made] == ["etcd", "query", "proxy"]
    with pytest.raises(ValueError, match="wait for each other"):
        in_order([manifest("a", "b"), manifest("b", "a")])


def test_type_tokens_are_those_of_the_provider() -> None:
    assert token("v1", "Secret") == "kubernetes:core/v1:Secret"
    assert token("apps/v1", "Deployment") == "kubernetes:apps/v1:Deployment"
    policy = token("networking.k8s.io/v1", "NetworkPolicy")
    assert policy == "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def test_static_keys_of_a_bucket_are_read_when_the_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "AKIA-not-for-anybody"
    secret_file = tmp_path / "key"
    secret_file.write_text("s3cr3t-of-the-bucket")
    text = (CLUSTERS / "prod.yaml").read_text()
    start, end = text.index("  identity:"), text.index("  roles:\n    proxy:")
    text = text[:start] + text[end:]
    text = text.replace("/run/secrets/milvus-s3-secret-key", str(secret_file))
    path = tmp_path / "prod.yaml"
    path.write_text(text)
    monkeypatch.setenv("MILVUS_S3_ACCESS_KEY", key)
    program = stack_of(path)
    (made,) = [r for r in program.of("SecretValues") if r.name == "prod-eu-storage-values"]
    assert opened(made.inputs["references"]) == {
        "access_key": key,
        "secret_key": "s3cr3t-of-the-bucket",
    }
