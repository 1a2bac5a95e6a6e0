"""etcd: members that find each other, restart with their data, and are not all taken at once."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.manifests import etcd
from kitestring.manifests.base import Manifest
from kitestring.manifests.dependencies import etcd_endpoints


def _of(manifests: tuple[Manifest, ...], kind: str) -> list[Manifest]:
    return [m for m in manifests if m.kind == kind]


def _container(manifests: tuple[Manifest, ...]) -> Any:
    (stateful,) = _of(manifests, "StatefulSet")
    return stateful.body["spec"]["template"]["spec"]["containers"][0]


def _env(manifests: tuple[Manifest, ...]) -> dict[str, str]:
    return {e["name"]: e.get("value", "") for e in _container(manifests)["env"]}


def test_an_etcd_of_somebody_else_is_not_made(make_spec: Any) -> None:
    assert etcd.manifests(make_spec(etcd={"endpoints": ["etcd.infra.svc:2379"]})) == ()


@pytest.mark.parametrize("members", [1, 3, 5])
def test_every_member_is_in_the_initial_cluster_under_its_own_name(
    make_spec: Any, members: int
) -> None:
    manifests = etcd.manifests(make_spec(etcd={"replicas": members}))
    env = _env(manifests)
    assert env["ETCD_INITIAL_CLUSTER"].split(",") == [
        f"kite-etcd-{i}=http://kite-etcd-{i}.kite-etcd.ns.svc:2380" for i in range(members)
    ]
    # what a member says of itself has to be word for word what the list says of it
    own = env["ETCD_INITIAL_ADVERTISE_PEER_URLS"].replace("$(POD_NAME)", "kite-etcd-0")
    assert f"kite-etcd-0={own}" in env["ETCD_INITIAL_CLUSTER"].split(",")
    assert env["ETCD_NAME"] == "$(POD_NAME)"
    (stateful,) = _of(manifests, "StatefulSet")
    assert stateful.body["spec"]["replicas"] == members
    assert stateful.body["spec"]["podManagementPolicy"] == "Parallel"


def test_milvus_is_told_of_every_member(make_spec: Any) -> None:
    members = etcd_endpoints(make_spec(etcd={"replicas": 3}))
    assert members == tuple(f"kite-etcd-{i}.kite-etcd:2379" for i in range(3))
    given = ["a.infra.svc:2379", "b.infra.svc:2379"]
    assert etcd_endpoints(make_spec(etcd={"endpoints": given})) == tuple(given)


def test_pod_name_is_set_before_the_variables_that_use_it(make_spec: Any) -> None:
    names = [e["name"] for e in _container(etcd.manifests(make_spec()))["env"]]
    assert names[0] == "POD_NAME"


def test_members_are_found_before_they_are_ready(make_spec: Any) -> None:
    (service,) = _of(etcd.manifests(make_spec()), "Service")
    spec = service.body["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["publishNotReadyAddresses"] is True
    assert {p["name"]: p["port"] for p in spec["ports"]}["client"] == 2379


def test_the_store_is_compacted_and_may_grow_to_four_gibibytes(make_spec: Any) -> None:
    env = _env(etcd.manifests(make_spec()))
    assert env["ETCD_QUOTA_BACKEND_BYTES"] == str(4 * 1024**3)
    assert env["ETCD_AUTO_COMPACTION_MODE"] == "revision"
    assert int(env["ETCD_AUTO_COMPACTION_RETENTION"]) > 0


def test_only_a_store_with_several_members_has_a_budget(make_spec: Any) -> None:
    assert not _of(etcd.manifests(make_spec(etcd={"replicas": 1})), "PodDisruptionBudget")
    (budget,) = _of(etcd.manifests(make_spec(etcd={"replicas": 3})), "PodDisruptionBudget")
    assert budget.body["spec"]["maxUnavailable"] == 1


def test_lost_quorum_or_full_space_do_not_restart_members(make_spec: Any) -> None:
    container = _container(etcd.manifests(make_spec()))
    path = container["livenessProbe"]["httpGet"]["path"]
    assert "serializable=true" in path
    assert "exclude=NOSPACE" in path
    assert container["readinessProbe"]["httpGet"]["path"] == "/health"
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert ports[container["livenessProbe"]["httpGet"]["port"]] == 2381


def test_the_image_has_no_shell_and_none_is_asked_for(make_spec: Any) -> None:
    assert _container(etcd.manifests(make_spec()))["command"] == ["/usr/local/bin/etcd"]


def test_data_is_below_the_volume_and_not_its_root(make_spec: Any) -> None:
    manifests = etcd.manifests(make_spec())
    (mount,) = _container(manifests)["volumeMounts"]
    directory = _env(manifests)["ETCD_DATA_DIR"]
    # a new ext4 volume has `lost+found` in its root, which is no directory of etcd's
    assert directory.startswith(mount["mountPath"] + "/")


def test_pods_come_after_the_policies_that_protect_them(make_spec: Any) -> None:
    (stateful,) = _of(etcd.manifests(make_spec()), "StatefulSet")
    assert "network" in stateful.after


@pytest.mark.parametrize("module", ["etcd", "minio", "kafka"])
def test_pods_of_every_store_are_restricted(make_spec: Any, module: str) -> None:
    import importlib

    manifests = importlib.import_module(f"kitestring.manifests.{module}").manifests(make_spec())
    (stateful,) = _of(manifests, "StatefulSet")
    pod = stateful.body["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["requests"]["memory"]
        assert container["resources"]["limits"]["memory"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


@pytest.mark.parametrize("module", ["etcd", "minio", "kafka"])
def test_the_selector_has_only_labels_that_never_change(make_spec: Any, module: str) -> None:
    import importlib

    manifests = importlib.import_module(f"kitestring.manifests.{module}").manifests(make_spec())
    (stateful,) = _of(manifests, "StatefulSet")
    chosen = stateful.body["spec"]["selector"]["matchLabels"]
    assert set(chosen) == {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
        "app.kubernetes.io/component",
    }
    assert chosen.items() <= stateful.body["spec"]["template"]["metadata"]["labels"].items()
    (service,) = _of(manifests, "Service")
    assert service.body["spec"]["selector"] == chosen
    assert stateful.body["spec"]["serviceName"] == service.name
