"""What stands against a deployment, each found on a cluster in memory."""

from __future__ import annotations

import copy

import pytest

from kitestring.clients.kube.fake import FakeKube
from kitestring.errors import (
    KubernetesDenied,
    KubernetesUnreachable,
    ManifestRejected,
    ProvisionRefused,
    StoreUnreachable,
)
from kitestring.manifests.load import load_bundle
from kitestring.provision.preflight import preflight, refuse
from kitestring.render.preflight import exit_code, problems_text
from kitestring.spec.load import load

SPEC = """\
version: 1
cluster: {name: n}
connection: {kubernetes: {}}
state: state
storage: {type: s3, bucket: milvus, prefix: files}
deployment:
  version: "2.5.16"
  mode: cluster
  namespace: milvus
  minio:
    volume: {size: 100Gi}
  etcd:
    replicas: 3
    volume: {size: 10Gi, storage_class: fast}
  message_log:
    type: kafka
    replicas: 1
  placement: {priority_class: high}
  roles:
    query_node: {replicas: 2, resources: {cpu: "2", memory: 16Gi}}
  security:
    tls: {type: secret, secret: my-tls}
"""
CLASSES = [
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
    },
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "fast"},
        "allowVolumeExpansion": True,
    },
]
PRIORITY = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "high"},
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "one", "labels": {}},
    "status": {"allocatable": {"memory": "32Gi", "cpu": "8"}},
}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "milvus"}}
TLS = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "my-tls", "namespace": "milvus"},
    "data": {"tls.crt": "", "tls.key": "", "ca.crt": ""},
}


@pytest.fixture
def spec(tmp_path):
    def make(*replaced):
        text = SPEC
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / "n.yaml"
        file.write_text(text)
        return load(file)

    return make


@pytest.fixture
def kube():
    return FakeKube(*CLASSES, PRIORITY, NODE, NAMESPACE, TLS)


def told(loaded, kube):
    return [
        (p.check, p.severity.value, p.location.line if p.location else 0)
        for p in preflight(loaded, kube)
    ]


def line(text):
    return next(n for n, row in enumerate(SPEC.splitlines(), 1) if text in row)


def test_nothing_in_the_way(spec, kube):
    assert preflight(spec(), kube) == ()
    assert not [c for c in kube.calls if c.startswith(("apply", "patch", "delete"))]
    refuse(())


def test_an_old_kubernetes(spec):
    kube = FakeKube(*CLASSES, PRIORITY, NODE, NAMESPACE, TLS, version=(1, 26))
    (problem,) = preflight(spec(), kube)
    assert "Kubernetes 1.26" in problem.message
    with pytest.raises(ProvisionRefused, match=r"n\.yaml:6"):
        refuse([problem])


def test_storage_classes(spec, kube):
    kube.delete("storage.k8s.io/v1", "StorageClass", "fast")
    (problem,) = preflight(spec(), kube)
    assert problem.message == "the cluster has no storage class `fast`; it has `standard`"
    assert problem.location.line == line("storage_class: fast")
    kube.delete("storage.k8s.io/v1", "StorageClass", "standard")
    messages = [p.message for p in preflight(spec(), kube)]
    assert any("has no default one" in m for m in messages)
    assert len(messages) == 2


def test_priority_class(spec, kube):
    kube.delete("scheduling.k8s.io/v1", "PriorityClass", "high")
    assert told(spec(), kube) == [("priority-class", "fail", line("priority_class"))]


def test_named_secrets(spec, kube):
    kube.put({**TLS, "data": {"tls.crt": ""}})
    (problem,) = preflight(spec(), kube)
    assert problem.message == "the Secret `my-tls` has no key `tls.key`, `ca.crt`"
    assert problem.location.line == line("my-tls")
    kube.delete("v1", "Secret", "my-tls", "milvus")
    (problem,) = preflight(spec(), kube)
    assert "no Secret `my-tls`" in problem.message


def test_namespace(spec, kube):
    kube.delete("v1", "Namespace", "milvus")
    assert [c for c, *_ in told(spec(), kube)] == ["secret"]
    there = spec(("namespace: milvus", "namespace: milvus\n  create_namespace: false"))
    assert [c for c, *_ in told(there, kube)] == ["namespace", "secret"]
    kube.put({**NAMESPACE, "status": {"phase": "Terminating"}})
    assert "being deleted" in preflight(spec(), kube)[0].message


def test_a_pod_that_fits_on_no_node(spec, kube):
    kube.put({**NODE, "status": {"allocatable": {"memory": "8Gi", "cpu": "1"}}})
    messages = [p.message for p in preflight(spec(), kube) if "query_node" in p.message]
    assert messages == [
        "a pod of query_node asks for 16.0 GiB, and the largest node can give 8.0 GiB",
        "a pod of query_node asks for 2 cores, and the largest node can give 1",
    ]


def test_a_cluster_without_nodes_is_not_known(spec, kube):
    kube.delete("v1", "Node", "one")
    problems = preflight(spec(), kube)
    assert [p.inconclusive for p in problems] == [True]
    assert exit_code(problems) == 3
    refuse(problems)


def deployed(spec, kube):
    for manifest in load_bundle(spec()).manifests:
        kube.put(copy.deepcopy(manifest.body))


@pytest.mark.parametrize(
    ("old", "new", "check", "message"),
    [
        ("volume: {size: 10Gi, st", "volume: {size: 5Gi, st", "volume-shrinks", "can't shrink"),
        ("storage_class: fast", "storage_class: standard", "storage-class", "can't change its"),
        ("replicas: 3", "replicas: 1", "etcd-replicas", "members of etcd"),
        (
            "volume: {size: 100Gi}",
            "volume: {size: 100Gi}\n    replicas: 4",
            "minio-replicas",
            "pods of MinIO can't change on a live cluster: it is 1, the spec asks for 4",
        ),
        (
            "type: kafka\n    replicas: 1",
            "type: pulsar\n    address: p.example.com",
            "message-log",
            "message log is kafka",
        ),
        ('version: "2.5.16"', 'version: "2.4.9"', "version", "2.4.9"),
        ("size: 100Gi", "size: 200Gi", "storage-class", "does not allow it"),
    ],
)
def test_changes_that_a_live_cluster_does_not_survive(spec, kube, old, new, check, message):
    deployed(spec, kube)
    assert preflight(spec(), kube) == ()
    problems = preflight(spec((old, new)), kube)
    assert [p.check for p in problems] == [check]
    assert message in problems[0].message


def test_volumes_may_grow_where_the_class_allows_it(spec, kube):
    deployed(spec, kube)
    assert preflight(spec(("size: 10Gi", "size: 20Gi")), kube) == ()


def test_volumes_that_outlived_a_deployment_count(spec, kube):
    deployed(spec, kube)
    for kind, space, name in list(kube.objects):
        if kind not in ("PersistentVolumeClaim", "Namespace") and space == "milvus":
            kube.delete("", kind, name, space)
    kube.put(TLS)
    problems = preflight(spec(("size: 10Gi", "size: 5Gi")), kube)
    assert [p.check for p in problems] == ["volume-shrinks"]


def test_what_the_api_server_would_refuse(spec, kube):
    def quota(manifest):
        if manifest["kind"] == "Deployment" and manifest["metadata"]["name"] == "n-query-node":
            raise ManifestRejected("exceeded quota")

    kube.reject = quota
    (problem,) = preflight(spec(), kube)
    assert (problem.check, problem.message) == ("rejected", "exceeded quota")
    assert problem.location.line == line("query_node")


def test_what_may_not_be_read_is_not_known(spec, kube):
    def denied():
        raise KubernetesDenied("no rights")

    kube.nodes = kube.storage_classes = denied
    problems = preflight(spec(), kube)
    assert sorted(p.check for p in problems) == ["nodes", "storage-class"]
    assert exit_code(problems) == 3
    assert "2 not known" in problems_text(problems, "x")


def test_a_server_that_goes_away(spec, kube):
    kube.failure = KubernetesUnreachable("gone")
    with pytest.raises(KubernetesUnreachable):
        preflight(spec(), kube)


@pytest.fixture
def external(spec, monkeypatch):
    """The spec with an S3 of somebody else's; `answer` is what listing its bucket gives."""
    answer = {"error": None}

    class Store:
        def __init__(self, bucket, **named):
            assert named["timeout"] <= 10

        def list(self, prefix):
            if answer["error"]:
                raise answer["error"]
            return iter(())

    monkeypatch.setattr("kitestring.clients.store.s3.S3Store", Store)
    keys = ", access_key: {env: AK}, secret_key: {env: SK}}"
    monkeypatch.setenv("AK", "a")
    monkeypatch.setenv("SK", "s")
    without = ("  minio:\n    volume: {size: 100Gi}\n", "")
    return spec(("prefix: files}", "prefix: files" + keys), without), answer


def test_a_bucket_that_is_not_there(external, kube):
    loaded, answer = external
    assert preflight(loaded, kube) == ()
    answer["error"] = StoreUnreachable("there is no bucket `milvus` at AWS", hint="create it")
    (problem,) = preflight(loaded, kube)
    assert (problem.check, problem.severity.value, problem.hint) == ("bucket", "fail", "create it")
    assert problem.location.line == line("bucket: milvus")


def test_a_store_that_does_not_answer_here_is_not_known(external, kube):
    loaded, answer = external
    answer["error"] = StoreUnreachable("no object store answers at http://minio.inside")
    assert exit_code(preflight(loaded, kube)) == 3


def test_keys_that_are_not_set(external, kube, monkeypatch):
    monkeypatch.delenv("SK")
    (problem,) = preflight(external[0], kube)
    assert "`SK` is not set" in problem.message


def test_a_bucket_reached_by_identity_is_said_not_to_be_looked_at(spec, kube):
    loaded = spec(
        ("  minio:\n    volume: {size: 100Gi}\n", "  identity: {service_account: milvus}\n")
    )
    (problem,) = preflight(loaded, kube)
    assert (problem.check, problem.severity.value) == ("bucket", "info")
    assert exit_code([problem]) == 0
    refuse([problem])


def test_several_failures_are_all_in_the_message(spec, kube):
    for kind, name in (("StorageClass", "fast"), ("PriorityClass", "high")):
        kube.delete("", kind, name)
    with pytest.raises(ProvisionRefused) as caught:
        refuse(preflight(spec(), kube))
    assert caught.value.message.startswith("2 things stand against this deployment")
    assert "nothing was touched" in caught.value.message


@pytest.mark.parametrize(("version", "warned"), [("2.4.14", True), ("2.4.15", False)])
def test_a_server_whose_rebuilt_replicas_answer_nothing(spec, kube, version, warned):
    collections = """\
collections:
  - name: docs
    model: w@1
    load: {replicas: 2}
    indexes: [{field: embedding, type: FLAT, metric: COSINE}]
models: [{provider: hashing, name: w, version: "1", dimension: 8}]
deployment:
"""
    loaded = spec(("2.5.16", version), ("deployment:\n", collections))
    found = [p for p in preflight(loaded, kube) if p.check == "server-fault"]
    assert [p.severity.value for p in found] == ["warn"] * warned
    refuse(found)  # a warning stops nothing
