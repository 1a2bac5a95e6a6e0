"""A drill's own server on Kubernetes: what is made, what is refused, and that all of it goes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from kitestring.clients.kube.fake import FakeKube
from kitestring.clients.kube.kinds import RESOURCES
from kitestring.clients.store.memory import MemoryStore
from kitestring.drill import deployed as module
from kitestring.drill.deployed import deployed
from kitestring.drill.space import SINCE, Kept, Own
from kitestring.errors import DrillFailed, DrillRefused, ManifestRejected
from kitestring.manifests.drill_home import HOME, rules
from kitestring.manifests.drill_target import LABEL, new_namespace, target_bundle, target_spec
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

GIB = 1 << 30
SPEC: Mapping[str, Any] = {
    "version": 1,
    "cluster": {"name": "prod"},
    "connection": {"uri": "http://milvus.example:19530"},
    "state": "state",
    "storage": {
        "type": "s3",
        "bucket": "segments",
        "access_key": {"env": "A"},
        "secret_key": {"env": "B"},
    },
    "access": {"users": [{"name": "app", "roles": []}]},
    "backup": {"store": {"type": "local", "path": "backups"}},
    "deployment": {
        "version": "2.3.5",
        "mode": "cluster",
        "namespace": "milvus",
        "storage_class": "fast",
        "images": {"registry": "registry.example", "kitestring": "registry.example/kitestring:1"},
        "roles": {"query_node": {"replicas": 3}},
        "config": {"dataCoord.segment.maxSize": 512},
        "message_log": {"type": "kafka", "brokers": ["kafka.example:9092"]},
        "etcd": {"endpoints": ["etcd.example:2379"]},
    },
}
MANIFEST: Any = SimpleNamespace(bytes=10 * GIB, collections=[SimpleNamespace(id=7)])


class Cluster(FakeKube):
    """Pods are ready when they are asked for, and a namespace takes its objects along."""

    ready = 1

    def apply(self, manifest: Mapping[str, Any], field_manager: str = "kitestring") -> Any:
        result = super().apply(manifest, field_manager)
        if manifest["kind"] == "StatefulSet":
            status = {"readyReplicas": self.ready, "updatedReplicas": self.ready}
            self.put({**result, "status": status})
        return result

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> bool:
        if kind == "Namespace":
            self.objects = {k: v for k, v in self.objects.items() if k[1] != name}
        return super().delete(api_version, kind, name, namespace)


class Server(SimpleNamespace):
    def list_collections(self) -> list[str]:
        return list(self.collections)

    def describe(self, name: str) -> Any:
        return SimpleNamespace(id=self.collections[name])


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedSpec:
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(copy.deepcopy(dict(SPEC))))
    return load(file)


@pytest.fixture
def server() -> Server:
    return Server(collections={}, admin=None)


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch, server: Server) -> Cluster:
    cluster = Cluster()

    @contextmanager
    def lent(thing: Any) -> Iterator[Any]:
        yield thing

    monkeypatch.setattr(module, "_kube", lambda _way: lent(cluster))
    monkeypatch.setattr(module, "open_way", lambda _way: lent(server))
    monkeypatch.setattr(module, "open_segment_store", lambda _loaded: (MemoryStore(), "files"))
    monkeypatch.setattr(module, "ensure_root_password", lambda _way, _password: "changed")
    monkeypatch.setattr(module, "READY", 0.3)
    monkeypatch.setattr(module, "endpoint_of", lambda _loaded: None)
    return cluster


def test_the_target_is_one_server_with_stores_of_its_own(loaded: LoadedSpec) -> None:
    spec = target_spec(loaded.spec, "kitestring-drill-x", 10 * GIB)
    bundle = target_bundle(spec)
    assert {m.namespace for m in bundle.manifests} <= {None, "kitestring-drill-x"}
    assert {p.namespace for p in bundle.secrets} == {"kitestring-drill-x"}
    names = {m.name for m in bundle.manifests if m.kind == "StatefulSet"}
    assert names == {"prod-etcd", "prod-minio", "prod-standalone"}
    assert not [m for m in bundle.manifests if m.kind in ("CronJob", "Job") or m.keep]
    assert not [p for p in bundle.secrets if p.refs]  # no key of the source's goes there
    claims = {m.name: m.body["spec"] for m in bundle.manifests if m.kind == "PersistentVolumeClaim"}
    assert claims["data-prod-minio-0"]["resources"]["requests"]["storage"] == "31Gi"
    assert {c["storageClassName"] for c in claims.values()} == {"fast"}
    (space,) = (m for m in bundle.manifests if m.kind == "Namespace")
    assert space.body["metadata"]["labels"][LABEL].isdigit()


def test_it_stands_and_is_gone_afterwards(loaded: LoadedSpec, kube: Cluster) -> None:
    space = new_namespace()
    with deployed(loaded, Own(space), MANIFEST) as standing:
        assert (standing.kind, standing.access, standing.left) == ("kubernetes", True, "")
        assert (standing.target.root, standing.target.disposable) == ("files", True)
        made = {key[0] for key in kube.objects}
        assert {"Namespace", "StatefulSet", "Secret", "NetworkPolicy"} <= made
    assert kube.objects == {}
    order = [c for c in kube.calls if c.startswith("apply")]
    assert order.index("apply Namespace/" + space) == 0
    assert order.index("apply StatefulSet/prod-etcd") < order.index(
        "apply StatefulSet/prod-standalone"
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, DrillFailed("broken")])
def test_it_is_gone_whatever_happens(loaded: LoadedSpec, kube: Cluster, error: Any) -> None:
    with pytest.raises((KeyboardInterrupt, DrillFailed)), deployed(loaded, Own("d"), MANIFEST):
        raise error
    assert kube.objects == {}


def test_what_is_kept_is_told(loaded: LoadedSpec, kube: Cluster) -> None:
    with deployed(loaded, Own("d"), MANIFEST, keep=True) as standing:
        assert "kubectl delete namespace d" in standing.left
    assert ("Namespace", "", "d") in kube.objects


def test_what_can_not_be_made_leaves_nothing(loaded: LoadedSpec, kube: Cluster) -> None:
    def full(manifest: Mapping[str, Any]) -> None:
        if manifest["kind"] == "StatefulSet":
            raise ManifestRejected("exceeded quota")

    kube.reject = full
    with pytest.raises(ManifestRejected), deployed(loaded, Own("d"), MANIFEST):
        pytest.fail("it does not stand")
    assert kube.objects == {}


def test_pods_that_do_not_start_are_told(loaded: LoadedSpec, kube: Cluster) -> None:
    kube.ready = 0
    with (
        pytest.raises(DrillFailed, match=r"StatefulSet/d/prod-etcd: there are no pods"),
        deployed(loaded, Own("d"), MANIFEST),
    ):
        pytest.fail("it does not stand")
    assert kube.objects == {}


@pytest.mark.parametrize("collections", [{"docs": 7}, {"somebodys": 8}])
def test_a_server_that_is_the_source_is_refused(
    loaded: LoadedSpec, kube: Cluster, server: Server, collections: dict[str, int]
) -> None:
    server.collections = collections
    with (
        pytest.raises(DrillRefused, match=r"is the source|is not empty"),
        deployed(loaded, Own("d"), MANIFEST),
    ):
        pytest.fail("it does not stand")


def test_a_namespace_of_somebody_else_is_left_alone(loaded: LoadedSpec, kube: Cluster) -> None:
    kube.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "d"}})
    with (
        pytest.raises(DrillRefused, match="is there already"),
        deployed(loaded, Own("d"), MANIFEST),
    ):
        pytest.fail("it does not stand")
    module.discard(loaded, Own("d"))
    assert ("Namespace", "", "d") in kube.objects


def test_what_killed_drills_have_left_goes_and_a_running_one_stays(
    loaded: LoadedSpec, kube: Cluster
) -> None:
    for name, labels in (("old", {LABEL: "1"}), ("running", {LABEL: "99999999999"}), ("app", {})):
        metadata = {"name": name, "labels": labels}
        kube.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    with deployed(loaded, Own("d"), MANIFEST):
        pass
    assert sorted(name for _, _, name in kube.objects) == ["app", "running"]


def test_kept_volumes_are_let_go(loaded: LoadedSpec, kube: Cluster) -> None:
    volume = {"persistentVolumeReclaimPolicy": "Retain"}
    with deployed(loaded, Own("d"), MANIFEST):
        kube.put({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"},
                  "spec": volume})  # fmt: skip
        claim = kube.objects["PersistentVolumeClaim", "d", "data-prod-minio-0"]
        claim["spec"]["volumeName"] = "pv"
    pv = kube.objects["PersistentVolume", "", "pv"]
    assert pv["spec"]["persistentVolumeReclaimPolicy"] == "Delete"


def test_a_spec_without_a_deployment_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        yaml.safe_dump({k: v for k, v in SPEC.items() if k not in ("deployment", "access")})
    )
    with pytest.raises(DrillRefused, match="no `deployment`"), deployed(load(file), "d", MANIFEST):
        pytest.fail("it does not stand")


def test_a_drill_has_one_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from kitestring.cli import cli, run

    both = ["drill", "run", "--target", "kubernetes", "--target-spec", str(tmp_path / "x.yaml")]
    assert run(cli, both, "kitestring") == 64
    assert "name two targets" in capsys.readouterr().err


HOME_OF_DRILLS: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "prod-drills", "labels": {HOME: "prod"}},
}
IN_IT = Kept("prod-drills", "prod")


def left(kube: Cluster) -> list[str]:
    return [kind for kind, *_ in kube.objects if kind != "Namespace"]


def since(kube: Cluster) -> str | None:
    meta = kube.objects["Namespace", "", "prod-drills"]["metadata"]
    return (meta.get("annotations") or {}).get(SINCE)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), DrillFailed("broken")])
def test_a_namespace_for_drills_is_emptied_and_stays(
    loaded: LoadedSpec, kube: Cluster, error: BaseException | None
) -> None:
    kube.put(HOME_OF_DRILLS)
    kube.put({"apiVersion": "v1", "kind": "ConfigMap",
              "metadata": {"name": "kube-root-ca.crt", "namespace": "prod-drills"}})  # fmt: skip
    with suppress(KeyboardInterrupt, DrillFailed), deployed(loaded, IN_IT, MANIFEST):
        assert "StatefulSet" in left(kube)
        assert (since(kube) or "").isdigit()
        if error is not None:
            raise error
    assert left(kube) == ["ConfigMap"]
    assert since(kube) is None
    assert not [c for c in kube.calls if c.startswith(("delete Namespace", "list Namespace"))]


def test_two_drills_do_not_share_it(loaded: LoadedSpec, kube: Cluster) -> None:
    kube.put(HOME_OF_DRILLS)
    with deployed(loaded, IN_IT, MANIFEST):
        with (
            pytest.raises(DrillRefused, match="another drill is at work"),
            deployed(loaded, IN_IT, MANIFEST),
        ):
            pytest.fail("there is one already")
        assert "StatefulSet" in left(kube)


def test_what_a_killed_drill_has_left_is_removed_first(loaded: LoadedSpec, kube: Cluster) -> None:
    kube.put(HOME_OF_DRILLS)
    with deployed(loaded, IN_IT, MANIFEST, keep=True) as standing:
        assert f"kubectl annotate namespace prod-drills {SINCE}-" in standing.left
    meta = kube.objects["Namespace", "", "prod-drills"]["metadata"]
    meta["annotations"] = {SINCE: "1"}
    kube.calls.clear()
    with deployed(loaded, IN_IT, MANIFEST):
        pass
    calls = kube.calls
    assert calls.index("delete StatefulSet/prod-etcd") < calls.index("apply StatefulSet/prod-etcd")
    assert left(kube) == []


@pytest.mark.parametrize("labels", [None, {}, {HOME: "another"}])
def test_a_namespace_for_something_else_is_refused(
    loaded: LoadedSpec, kube: Cluster, labels: dict[str, str] | None
) -> None:
    if labels is not None:
        meta = {"name": "prod-drills", "labels": labels}
        kube.put({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    with (
        pytest.raises(DrillRefused, match="is not kept for drills of prod"),
        deployed(loaded, IN_IT, MANIFEST),
    ):
        pytest.fail("it does not stand")
    assert left(kube) == []


def test_the_rights_cover_what_a_drill_makes(loaded: LoadedSpec) -> None:
    bundle = target_bundle(target_spec(loaded.spec, "prod-drills", 1, there=True))
    made = {RESOURCES[m.api_version, m.kind].plural for m in bundle.manifests} | {"secrets"}
    full = [r for r in rules("prod-drills") if "delete" in r["verbs"]]
    assert made <= {name for rule in full for name in rule["resources"]}
    assert "namespaces" not in made
