"""The pods of Milvus: what a reviewer of a cluster would ask about each."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from kitestring.errors import SpecInvalid
from kitestring.manifests.base import Manifest
from kitestring.manifests.build import build
from kitestring.spec.models import Spec

V2_3, V2_5, V2_6 = "2.3.5", "2.5.16", "2.6.2"


def _one(spec: Spec, component: str, kind: str) -> Manifest:
    (found,) = [m for m in build(spec).of(component) if m.kind == kind]
    return found


def _kinds(spec: Spec, component: str) -> list[str]:
    return [m.kind for m in build(spec).of(component)]


def _pod(spec: Spec, component: str, kind: str = "Deployment") -> Any:
    return _one(spec, component, kind).body["spec"]["template"]["spec"]


def _workloads(spec: Spec) -> list[Manifest]:
    return [m for m in build(spec).manifests if m.kind in ("Deployment", "StatefulSet")]


@pytest.mark.parametrize(
    ("version", "there"),
    [
        (V2_3, ["index_node", "coordinator", "query_node", "data_node", "proxy"]),
        (V2_5, ["index_node", "coordinator", "query_node", "data_node", "proxy"]),
        (V2_6, ["coordinator", "streaming_node", "query_node", "data_node", "proxy"]),
    ],
)
def test_each_version_has_its_own_roles_in_the_order_of_an_upgrade(
    make_spec: Any, version: str, there: list[str]
) -> None:
    bundle = build(make_spec(version=version))
    milvus = [m for m in bundle.manifests if m.kind == "Deployment"]
    assert [m.component for m in milvus] == there
    for before, after in itertools.pairwise(milvus):
        assert before.component in after.after


def test_the_roles_run_the_command_of_their_name(make_spec: Any) -> None:
    commands = {
        m.component: m.body["spec"]["template"]["spec"]["containers"][0]["args"]
        for m in _workloads(make_spec(version=V2_5, message_log={"type": "kafka"}))
        if m.body["metadata"]["labels"]["app.kubernetes.io/name"] == "milvus"
    }
    assert commands["query_node"] == ["milvus", "run", "querynode"]
    assert commands["index_node"] == ["milvus", "run", "indexnode"]
    assert commands["proxy"] == ["milvus", "run", "proxy"]
    assert commands["coordinator"][:3] == ["milvus", "run", "mixture"]


def test_an_index_node_in_2_6_is_refused(make_spec: Any) -> None:
    with pytest.raises(SpecInvalid, match=r"index_node: Milvus 2\.6\.2 .* has no such role"):
        build(make_spec(version=V2_6, roles={"index_node": {"replicas": 2}}))


def test_a_disruption_budget_only_where_a_pod_can_be_missed(make_spec: Any) -> None:
    spec = make_spec(
        roles={
            "query_node": {"replicas": 3},
            "data_node": {"replicas": 1},
            "proxy": {"autoscale": {"minimum": 1, "maximum": 4, "cpu_percent": 70}},
        }
    )
    budget = _one(spec, "query_node", "PodDisruptionBudget").body["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == _one(spec, "query_node", "Deployment").body["spec"]["selector"]
    assert "PodDisruptionBudget" not in _kinds(spec, "data_node")
    assert "PodDisruptionBudget" not in _kinds(spec, "proxy")  # it may be scaled to one
    two = make_spec(roles={"proxy": {"autoscale": {"minimum": 2, "maximum": 4, "cpu_percent": 70}}})
    assert "PodDisruptionBudget" in _kinds(two, "proxy")


def test_an_autoscaled_role_leaves_its_replicas_to_the_autoscaler(make_spec: Any) -> None:
    scale = {"minimum": 2, "maximum": 6, "cpu_percent": 70, "memory_percent": 80}
    spec = make_spec(roles={"query_node": {"autoscale": scale}})
    deployment = _one(spec, "query_node", "Deployment")
    assert "replicas" not in deployment.body["spec"]
    assert deployment.ignore == ("spec.replicas",)
    scaler = _one(spec, "query_node", "HorizontalPodAutoscaler").body["spec"]
    assert scaler["scaleTargetRef"]["name"] == deployment.name
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 6)
    targets = {
        m["resource"]["name"]: m["resource"]["target"]["averageUtilization"]
        for m in scaler["metrics"]
    }
    assert targets == {"cpu": 70, "memory": 80}
    fixed = _one(make_spec(roles={"query_node": {"replicas": 3}}), "query_node", "Deployment")
    assert fixed.body["spec"]["replicas"] == 3
    assert fixed.ignore == ()


def test_only_proxies_and_query_nodes_are_autoscaled(make_spec: Any) -> None:
    scale = {"minimum": 1, "maximum": 2, "cpu_percent": 70}
    with pytest.raises(SpecInvalid, match=r"data_node\.autoscale"):
        build(make_spec(roles={"data_node": {"autoscale": scale}}))


def test_required_spread_keeps_pods_of_a_role_on_different_nodes(make_spec: Any) -> None:
    spec = make_spec(
        placement={"spread": "required"}, roles={"query_node": {"replicas": 3}, "proxy": {}}
    )
    deployment = _one(spec, "query_node", "Deployment").body["spec"]
    pod = deployment["template"]["spec"]
    apart = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert [term["topologyKey"] for term in apart] == ["kubernetes.io/hostname"]
    assert apart[0]["labelSelector"] == deployment["selector"]
    modes = {c["topologyKey"]: c["whenUnsatisfiable"] for c in pod["topologySpreadConstraints"]}
    assert modes == {
        "topology.kubernetes.io/zone": "ScheduleAnyway",
        "kubernetes.io/hostname": "DoNotSchedule",
    }
    # a pod more than there are nodes would wait for ever
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}


def test_a_single_pod_keeps_no_distance_from_its_successor(make_spec: Any) -> None:
    spec = make_spec(placement={"spread": "required"}, roles={"query_node": {"replicas": 1}})
    deployment = _one(spec, "query_node", "Deployment").body["spec"]
    assert "affinity" not in deployment["template"]["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_role_may_be_placed_on_its_own(make_spec: Any) -> None:
    own = {
        "node_selector": {"disk": "nvme"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "priority_class": "high",
        "spread": "none",
    }
    spec = make_spec(roles={"query_node": {"replicas": 2, "placement": own}})
    pod = _pod(spec, "query_node")
    assert pod["nodeSelector"] == {"disk": "nvme"}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert pod["priorityClassName"] == "high"
    assert "affinity" not in pod
    assert "nodeSelector" not in _pod(spec, "proxy")


def test_one_coordinator_is_recreated_and_two_stand_by(make_spec: Any) -> None:
    one = _one(make_spec(), "coordinator", "Deployment").body["spec"]
    assert one["strategy"] == {"type": "Recreate"}
    two = _one(make_spec(roles={"coordinator": {"replicas": 2}}), "coordinator", "Deployment")
    assert two.body["spec"]["strategy"]["type"] == "RollingUpdate"


@pytest.mark.parametrize(("given", "seconds"), [(None, 1800), ("45m", 2700)])
def test_a_query_node_gets_the_time_that_draining_takes(
    make_spec: Any, given: str | None, seconds: int
) -> None:
    role = {"termination_grace": given} if given else {}
    spec = make_spec(roles={"query_node": role})
    deployment = _one(spec, "query_node", "Deployment").body["spec"]
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] == seconds
    assert deployment["progressDeadlineSeconds"] > seconds


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_pods_have_no_rights_that_they_do_not_need(make_spec: Any, mode: str) -> None:
    spec = make_spec(mode=mode, images={"pull_secrets": ["hub"]})
    for workload in _workloads(spec):
        pod = workload.body["spec"]["template"]["spec"]
        assert pod["enableServiceLinks"] is False  # MINIO_PORT=tcp://… would stop Milvus
        assert pod["automountServiceAccountToken"] is False
        assert pod["imagePullSecrets"] == [{"name": "hub"}]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["readOnlyRootFilesystem"] is True


def test_the_namespace_turns_away_pods_with_more_rights(make_spec: Any) -> None:
    namespace = _one(make_spec(), "namespace", "Namespace")
    assert namespace.keep  # removing it would remove the volume claims in it
    labels = namespace.body["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert build(make_spec(create_namespace=False)).of("namespace") == ()


def test_probes_ask_the_server_for_its_health(make_spec: Any) -> None:
    for workload in _workloads(make_spec()):
        if workload.body["metadata"]["labels"]["app.kubernetes.io/name"] != "milvus":
            continue
        (container,) = workload.body["spec"]["template"]["spec"]["containers"]
        ports = {p["name"]: p["containerPort"] for p in container["ports"]}
        assert ports["metrics"] == 9091
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"] == {"path": "/healthz", "port": "metrics"}
        startup = container["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 120


def test_resources_are_the_specs_or_the_plans(make_spec: Any) -> None:
    given = {"cpu": "500m", "memory": "6Gi", "cpu_limit": "2"}
    spec = make_spec(roles={"query_node": {"resources": given}})
    asked = _pod(spec, "query_node")["containers"][0]["resources"]
    assert asked == {
        "requests": {"cpu": "500m", "memory": "6Gi"},
        "limits": {"memory": "6Gi", "cpu": "2"},
    }
    default = _pod(spec, "index_node")["containers"][0]["resources"]
    assert default == {"requests": {"cpu": "4", "memory": "8Gi"}, "limits": {"memory": "8Gi"}}


def test_from_2_6_the_data_node_has_the_size_of_a_builder(make_spec: Any) -> None:
    data_node = _pod(make_spec(version=V2_6), "data_node")["containers"][0]["resources"]
    assert data_node["requests"]["memory"] == "8Gi"


def test_a_disk_of_a_query_node_is_its_own(make_spec: Any) -> None:
    disk = {"size": "200Gi", "storage_class": "nvme"}
    spec = make_spec(roles={"query_node": {"replicas": 2, "disk": disk}})
    (data,) = [v for v in _pod(spec, "query_node")["volumes"] if v["name"] == "data"]
    claim = data["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim["storageClassName"] == "nvme"
    assert claim["resources"]["requests"]["storage"] == "200Gi"


def test_a_workload_identity_is_a_service_account_and_no_key(make_spec: Any, s3: Any) -> None:
    identity = {
        "service_account": "milvus-s3",
        "provider": "azure",
        "annotations": {"azure.workload.identity/client-id": "x"},
    }
    spec = make_spec(minio=None, storage=s3, identity=identity)
    (account,) = [m for m in build(spec).manifests if m.kind == "ServiceAccount"]
    assert account.name == "milvus-s3"
    assert account.body["metadata"]["annotations"] == identity["annotations"]
    workload = _one(spec, "query_node", "Deployment").body["spec"]["template"]
    assert workload["spec"]["serviceAccountName"] == "milvus-s3"
    assert workload["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    names = [e["name"] for e in workload["spec"]["containers"][0]["env"]]
    assert not [name for name in names if "SECRET" in name]


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_clients_find_the_server_at_one_service(make_spec: Any, mode: str) -> None:
    spec = make_spec(mode=mode, service={"type": "NodePort", "annotations": {"a": "b"}})
    bundle = build(spec)
    (service,) = [m for m in bundle.manifests if m.key == "Service/ns/kite-milvus"]
    assert service.body["spec"]["type"] == "NodePort"
    assert service.body["metadata"]["annotations"] == {"a": "b"}
    ports = {p["name"]: p["port"] for p in service.body["spec"]["ports"]}
    assert ports == {"grpc": 19530, "metrics": 9091}
    role = "standalone" if mode == "standalone" else "proxy"
    assert service.body["spec"]["selector"]["app.kubernetes.io/component"] == role


def test_a_standalone_server_keeps_its_log_on_a_volume(make_spec: Any) -> None:
    log = {"type": "rocksmq", "volume": {"size": "7Gi"}}
    spec = make_spec(version=V2_3, mode="standalone", message_log=log)
    stateful = _one(spec, "standalone", "StatefulSet")
    assert stateful.ignore == ("spec.volumeClaimTemplates",)
    (template,) = stateful.body["spec"]["volumeClaimTemplates"]
    claim = _one(spec, "standalone", "PersistentVolumeClaim")
    assert claim.keep
    assert claim.name == "data-kite-standalone-0"
    assert claim.body["spec"] == template["spec"]
    assert template["spec"]["resources"]["requests"]["storage"] == "7Gi"
    retention = stateful.body["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert retention == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_a_standalone_server_whose_log_is_elsewhere_has_no_volume(make_spec: Any) -> None:
    spec = make_spec(version=V2_6, mode="standalone")
    assert "PersistentVolumeClaim" not in _kinds(spec, "standalone")
    assert "volumeClaimTemplates" not in _one(spec, "standalone", "StatefulSet").body["spec"]


def test_two_standalone_servers_are_refused(make_spec: Any) -> None:
    with pytest.raises(SpecInvalid, match="mode: cluster"):
        build(make_spec(mode="standalone", roles={"standalone": {"replicas": 2}}))


@pytest.mark.parametrize(
    ("tls", "secret"),
    [({"type": "generated"}, "kite-tls"), ({"type": "secret", "secret": "own"}, "own")],
)
def test_only_the_proxy_has_the_certificate(make_spec: Any, tls: Any, secret: str) -> None:
    spec = make_spec(security={"tls": tls})
    proxy = _pod(spec, "proxy")
    (volume,) = [v for v in proxy["volumes"] if "secret" in v]
    assert volume["secret"]["secretName"] == secret
    assert volume["secret"]["defaultMode"] == 0o440  # no key for others
    # what made the certificate, an authority's key, stays out of the pod
    assert [i["key"] for i in volume["secret"]["items"]] == ["tls.crt", "tls.key"]
    assert not [v for v in _pod(spec, "query_node")["volumes"] if "secret" in v]
