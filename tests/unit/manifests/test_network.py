"""The network policies as a graph: every edge that is needed is open, everything else is closed.

The evaluator below reads policies as Kubernetes documents them: a pod that no policy selects is
open; one that is selected is reached, and reaches others, only by a rule of those policies.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitestring.manifests import etcd, kafka, minio, network
from kitestring.manifests.labels import labels

ANYWHERE = "203.0.113.7"
NODES = ("query_node", "data_node", "index_node")
ROLES = ("proxy", "coordinator", *NODES)
COORDINATOR = (53100, 13333, 19531)
STORES = {"etcd", "minio", "kafka"}


@dataclass(frozen=True)
class Pod:
    namespace: str = "ns"
    labels: Mapping[str, str] = field(default_factory=dict)


Peer = Pod | str  # a pod, or an address outside of the cluster


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def _is_peer(rule: Mapping[str, Any], policy_namespace: str, peer: Peer) -> bool:
    if "ipBlock" in rule:
        if isinstance(peer, Pod):
            return False
        network_ = ipaddress.ip_network(rule["ipBlock"]["cidr"])
        address = ipaddress.ip_address(peer)
        return address.version == network_.version and address in network_
    if not isinstance(peer, Pod):
        return False
    if "namespaceSelector" in rule:
        namespace = {"kubernetes.io/metadata.name": peer.namespace}
        if not _selects(rule["namespaceSelector"], namespace):
            return False
    elif peer.namespace != policy_namespace:
        return False
    return _selects(rule.get("podSelector", {}), peer.labels)


def _one_way(
    policies: Iterable[Mapping[str, Any]],
    direction: str,
    pod: Peer,
    other: Peer,
    port: int,
    protocol: str,
) -> bool:
    if not isinstance(pod, Pod):
        return True
    mine = [
        p
        for p in policies
        if p["metadata"]["namespace"] == pod.namespace
        and direction in p["spec"]["policyTypes"]
        and _selects(p["spec"]["podSelector"], pod.labels)
    ]
    if not mine:
        return True
    peers = "from" if direction == "Ingress" else "to"
    for policy in mine:
        for rule in policy["spec"].get(direction.lower(), []):
            ports = rule.get("ports")
            fits = ports is None or {"protocol": protocol, "port": port} in ports
            if fits and any(
                _is_peer(peer, policy["metadata"]["namespace"], other) for peer in rule[peers]
            ):
                return True
    return False


class Net:
    """The policies of a spec, and its pods by component."""

    def __init__(self, spec: Any) -> None:
        self.spec = spec
        self.policies: list[Mapping[str, Any]] = [m.body for m in network.manifests(spec)]

    def pod(self, component: str) -> Pod:
        app = component if component in STORES else "milvus"
        return Pod("ns", labels(self.spec, app, component))

    def open(self, source: str | Pod, target: str | Pod, port: int, protocol: str = "TCP") -> bool:
        one, other = self._peer(source), self._peer(target)
        return _one_way(self.policies, "Egress", one, other, port, protocol) and _one_way(
            self.policies, "Ingress", other, one, port, protocol
        )

    def _peer(self, what: str | Pod) -> Peer:
        if isinstance(what, Pod) or what[0].isdigit():
            return what
        return self.pod(what)


JOB = Pod("ns", {"app.kubernetes.io/name": "kitestring", "app.kubernetes.io/instance": "kite"})
CLIENT = Pod("ns", {"app": "rag"})
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})


def _cluster_edges() -> set[tuple[str, str, int]]:
    """What a cluster of 2.3 to 2.5 with everything beside it needs, and no more."""
    return {
        *((role, "coordinator", port) for role in ROLES for port in COORDINATOR),
        ("coordinator", "proxy", 19529),
        ("coordinator", "query_node", 21123),
        ("coordinator", "data_node", 21124),
        ("coordinator", "index_node", 21121),
        ("proxy", "query_node", 21123),
        ("query_node", "query_node", 21123),
        *((role, "etcd", 2379) for role in ROLES),
        *((role, "minio", 9000) for role in ROLES),
        *((role, "kafka", 9092) for role in ROLES if role != "index_node"),
        ("etcd", "etcd", 2379),
        ("etcd", "etcd", 2380),
        ("minio", "minio", 9000),
        ("kafka", "kafka", 9092),
        ("kafka", "kafka", 9093),
    }


def _streaming_edges() -> set[tuple[str, str, int]]:
    """The same for 2.6, whose log is on the object store."""
    roles = ("proxy", "coordinator", "query_node", "data_node", "streaming_node")
    return {
        *((role, "coordinator", port) for role in roles for port in COORDINATOR),
        ("coordinator", "proxy", 19529),
        ("coordinator", "query_node", 21123),
        ("coordinator", "data_node", 21124),
        *((role, "streaming_node", port) for role in roles for port in (22222, 21123)),
        ("proxy", "query_node", 21123),
        ("query_node", "query_node", 21123),
        ("streaming_node", "query_node", 21123),
        *((role, "etcd", 2379) for role in roles),
        *((role, "minio", 9000) for role in roles),
        ("etcd", "etcd", 2379),
        ("etcd", "etcd", 2380),
        ("minio", "minio", 9000),
    }


PORTS = (
    *(53100, 13333, 19531, 19529, 19530, 9091, 21121, 21123, 21124, 22222),
    *(2379, 2380, 2381, 9000, 9092, 9093, 443, 80, 22, 53),
)


@pytest.mark.parametrize(
    ("version", "needed"), [("2.5.16", _cluster_edges()), ("2.6.1", _streaming_edges())]
)
def test_between_the_pods_exactly_the_needed_edges_are_open(
    make_spec: Any, version: str, needed: set[tuple[str, str, int]]
) -> None:
    net = Net(make_spec(version=version))
    components = network.components(net.spec)
    found = {
        (source, target, port)
        for source in components
        for target in components
        for port in PORTS
        if net.open(source, target, port)
    }
    assert found == needed


def test_a_standalone_server_reaches_its_stores_and_nothing_else(make_spec: Any) -> None:
    net = Net(make_spec(version="2.3.5", mode="standalone"))
    assert net.open("standalone", "etcd", 2379)
    assert net.open("standalone", "minio", 9000)
    assert net.open(CLIENT, "standalone", 19530)
    assert not net.open("etcd", "standalone", 19530)
    assert not net.open("standalone", ANYWHERE, 443)


@pytest.mark.parametrize("component", [*ROLES, "etcd", "minio", "kafka"])
def test_every_pod_asks_for_names_and_none_reaches_the_internet(
    make_spec: Any, component: str
) -> None:
    net = Net(make_spec())
    assert net.open(component, DNS, 53, "UDP")
    assert net.open(component, DNS, 53, "TCP")
    assert net.open(component, "169.254.20.10", 53, "UDP")
    assert not net.open(component, DNS, 443)
    for port in (53, 80, 443, 9000, 19530):
        assert not net.open(component, ANYWHERE, port)


def test_clients_reach_the_proxy_and_only_its_port_for_them(make_spec: Any) -> None:
    security = {"client_namespaces": ["rag"], "client_cidrs": ["192.0.2.0/24"]}
    net = Net(make_spec(security=security))
    for client in (CLIENT, Pod("rag"), "192.0.2.9"):
        assert net.open(client, "proxy", 19530)
        for component in network.components(net.spec):
            for port in PORTS:
                if (component, port) != ("proxy", 19530):
                    assert not net.open(client, component, port), (client, component, port)
    assert not net.open(Pod("elsewhere"), "proxy", 19530)
    assert not net.open(ANYWHERE, "proxy", 19530)


def test_metrics_are_for_the_named_namespaces_and_the_jobs(make_spec: Any) -> None:
    scraper = Pod("monitoring")
    assert not Net(make_spec()).open(scraper, "query_node", 9091)
    net = Net(make_spec(security={"metrics_namespaces": ["monitoring"]}))
    for role in ROLES:
        assert net.open(scraper, role, 9091)
        assert net.open(JOB, role, 9091)
        assert not net.open(CLIENT, role, 9091)  # the port also stops components
    assert net.open(scraper, "etcd", 2381)
    assert not net.open(scraper, "etcd", 2379)


def test_day_2_jobs_reach_the_proxy_and_the_segments(make_spec: Any) -> None:
    net = Net(make_spec())
    assert net.open(JOB, "proxy", 19530)
    assert net.open(JOB, "minio", 9000)
    for component, port in (("etcd", 2379), ("kafka", 9092), ("query_node", 21123)):
        assert not net.open(JOB, component, port)
    other = Pod("ns", {**JOB.labels, "app.kubernetes.io/instance": "another"})
    assert not net.open(other, "minio", 9000)


def test_two_clusters_in_one_namespace_do_not_reach_each_other(make_spec: Any) -> None:
    net = Net(make_spec())
    stranger = Pod("ns", labels(make_spec(name="other"), "milvus", "query_node"))
    assert not net.open(stranger, "coordinator", 53100)
    assert not net.open(stranger, "etcd", 2379)
    assert not net.open(stranger, "minio", 9000)


@pytest.mark.parametrize(("endpoint", "port"), [(None, 443), ("https://s3.example.com:8443", 8443)])
def test_an_external_store_is_reached_at_its_port(
    make_spec: Any, s3: Any, endpoint: str | None, port: int
) -> None:
    storage = s3 | ({"endpoint_url": endpoint} if endpoint else {})
    net = Net(make_spec(minio=None, storage=storage))
    for role in ROLES:
        assert net.open(role, ANYWHERE, port)
        assert not net.open(role, ANYWHERE, 22)
    for store in ("etcd", "kafka"):
        assert not net.open(store, ANYWHERE, port)


def test_a_workload_identity_gets_its_token(make_spec: Any, s3: Any) -> None:
    identity = {"service_account": "milvus", "provider": "gcp"}
    storage = {"type": "s3", "bucket": "segments", "endpoint_url": "http://10.0.0.9:9000"}
    net = Net(make_spec(minio=None, storage=storage, identity=identity))
    assert net.open("data_node", "169.254.169.254", 80)
    assert net.open("data_node", "10.0.0.9", 9000)
    assert net.open("data_node", ANYWHERE, 443)
    assert not net.open("etcd", "169.254.169.254", 80)
    without = Net(make_spec(minio=None, storage=s3))
    # the metadata server of a cloud hands out the node's own rights
    assert not without.open("data_node", "169.254.169.254", 80)


@pytest.mark.parametrize(
    ("endpoint", "reached", "closed"),
    [
        ("10.1.2.3:2379", ("10.1.2.3", 2379), ("10.1.2.4", 2379)),
        ("etcd.infra.svc:2379", (Pod("infra"), 12379), (ANYWHERE, 2379)),
        ("etcd.infra.svc.cluster.local:2379", (Pod("infra"), 2379), (Pod("x"), 2379)),
        ("etcd.infra:2379", (Pod("infra"), 2379), (Pod("x"), 2379)),
        ("etcd:2379", (Pod("ns", {"app": "etcd"}), 2379), (ANYWHERE, 2379)),
        ("etcd.example.com:2379", (ANYWHERE, 2379), (ANYWHERE, 443)),
    ],
)
def test_an_etcd_of_somebody_else_is_reached_as_far_as_a_policy_can_say(
    make_spec: Any, endpoint: str, reached: Any, closed: Any
) -> None:
    net = Net(make_spec(etcd={"endpoints": [endpoint]}))
    assert net.open("coordinator", *reached)
    assert not net.open("coordinator", *closed)


def test_an_external_log_is_nothing_to_an_index_node(make_spec: Any) -> None:
    log = {"type": "kafka", "brokers": ["10.0.0.1:9093", "10.0.0.2:9093"]}
    net = Net(make_spec(message_log=log))
    assert net.open("data_node", "10.0.0.2", 9093)
    assert not net.open("index_node", "10.0.0.2", 9093)
    pulsar = Net(make_spec(message_log={"type": "pulsar", "address": "10.0.0.3"}))
    assert pulsar.open("query_node", "10.0.0.3", 6650)


def test_a_spec_may_leave_policies_to_somebody_else(make_spec: Any) -> None:
    assert network.manifests(make_spec(security={"network_policy": False})) == ()


@given(
    version=st.sampled_from(["2.3.5", "2.4.15", "2.5.16", "2.6.1"]),
    mode=st.sampled_from(["cluster", "standalone"]),
    etcds=st.sampled_from([1, 3, 5]),
    servers=st.sampled_from([1, 4]),
)
def test_every_port_that_a_store_serves_is_one_that_its_policy_knows(
    make_spec: Any, version: str, mode: str, etcds: int, servers: int
) -> None:
    spec = make_spec(
        version=version, mode=mode, etcd={"replicas": etcds}, minio={"replicas": servers}
    )
    net = Net(spec)
    names = [p["metadata"]["name"] for p in net.policies]
    assert len(names) == len(set(names))
    made = (*etcd.manifests(spec), *minio.manifests(spec), *kafka.manifests(spec))
    for body in (m.body for m in made if m.kind == "StatefulSet"):
        pod = Pod("ns", body["spec"]["template"]["metadata"]["labels"])
        (container,) = body["spec"]["template"]["spec"]["containers"]
        for port in (p["containerPort"] for p in container["ports"] if p["name"] != "metrics"):
            assert net.open(pod, pod, port)
