"""Network policies: nothing is allowed but the edges that the roles need.

One policy denies everything to and from the pods of the instance, one lets them ask for names,
and one for each component lists its own edges, at both of its ends: what it may reach, and who
may reach it. The edges are data (`edges`), so that they can be read and tested as a graph.

Outside of the cluster a policy knows addresses only. An endpoint that the spec names by address
is allowed as that address; one named by DNS is its port at any address; a Service of the cluster
(`name.namespace.svc`) is its namespace at any port, for the port of a Service need not be that of
its pods. Addresses of S3 change: with an external store its port is open to anywhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitestring.manifests import etcd, kafka, minio
from kitestring.manifests.base import INSTANCE_LABEL, Manifest
from kitestring.manifests.dependencies import bundled, message_log, object_store, version_of
from kitestring.manifests.labels import NAME_LABEL, deployment_of, metadata, selector
from kitestring.model.versions import Feature, has, roles
from kitestring.spec.deployment import Kafka, Pulsar
from kitestring.spec.models import Spec

COMPONENT = "network"
CLIENT_PORT, METRICS_PORT = 19530, 9091
_DNS_NAMESPACES = ("kube-system", "openshift-dns")
_DNS_PORTS = (53, 5353)  # 5353: where OpenShift's pods listen
_NODE_LOCAL_DNS = "169.254.20.10/32"
_ANYWHERE = ("0.0.0.0/0", "::/0")

SERVED: Mapping[str, tuple[int, ...]] = {
    "coordinator": (53100, 13333, 19531),  # root, data, query coordinator
    "proxy": (19529,),  # for the coordinators; clients have a rule of their own
    "query_node": (21123,),
    "data_node": (21124,),
    "index_node": (21121,),
    "streaming_node": (22222, 21123),  # from 2.6 it serves the growing part of queries too
    "etcd": (etcd.CLIENT_PORT,),
    "minio": (minio.PORT,),
    "kafka": (kafka.CLIENT_PORT,),
}
"""Ports that other components use: `port` and `internalPort` of Milvus' configs/milvus.yaml."""

# what a workload identity asks for its token, beside HTTPS: the provider's own addresses
_TOKENS: Mapping[str, tuple[tuple[str, int], ...]] = {
    "aws": (("169.254.170.23/32", 80),),  # EKS Pod Identity
    "gcp": (("169.254.169.254/32", 80), ("169.254.169.252/32", 988)),  # GKE metadata server
    "azure": (),
}


@dataclass(frozen=True, slots=True)
class Edge:
    """Pods of one component open connections to these ports of another's."""

    source: str
    target: str
    ports: tuple[int, ...]


def edges(spec: Spec) -> tuple[Edge, ...]:
    """The edges inside of the instance."""
    deployment = deployment_of(spec)
    own = roles(version_of(spec), deployment.mode)
    streaming = has(version_of(spec), Feature.STREAMING_NODE)
    made = bundled(spec)
    found = list(_between(own))
    for role in own:
        # an index node reads and writes segments only: the log is nothing to it
        needs = [d for d in made if d != "kafka" or role != "index_node"]
        found += [Edge(role, dependency, SERVED[dependency]) for dependency in needs]
    if "etcd" in made:
        found.append(Edge("etcd", "etcd", (etcd.CLIENT_PORT, etcd.PEER_PORT)))
    if "minio" in made:
        found.append(Edge("minio", "minio", SERVED["minio"]))
    if "kafka" in made:
        found.append(Edge("kafka", "kafka", (kafka.CLIENT_PORT, kafka.CONTROLLER_PORT)))
    if streaming and "streaming_node" in own:
        found += [
            Edge(role, "streaming_node", SERVED["streaming_node"])
            for role in own
            if role not in ("proxy", "coordinator")  # these reach every node anyway
        ]
    return tuple(dict.fromkeys(found))


def _between(own: Sequence[str]) -> Iterator[Edge]:
    """Edges among the roles of Milvus; a standalone server talks to itself alone."""
    nodes = [r for r in own if r.endswith("_node")]
    if "coordinator" not in own:
        return
    yield from (Edge(role, "coordinator", SERVED["coordinator"]) for role in own)
    yield Edge("coordinator", "proxy", SERVED["proxy"])
    yield from (Edge("coordinator", node, SERVED[node]) for node in nodes)
    # a search goes to the node that leads its shard, and from there to those with its segments
    for source in ("proxy", "query_node", "streaming_node"):
        if source in own:
            yield Edge(source, "query_node", SERVED["query_node"])
    if "streaming_node" in own:
        yield Edge("proxy", "streaming_node", SERVED["streaming_node"])


def manifests(spec: Spec) -> tuple[Manifest, ...]:
    """The policies of the instance; nothing where the spec turns them off."""
    if not deployment_of(spec).security.network_policy:
        return ()
    inside = edges(spec)
    pods = (_component(spec, component, inside) for component in components(spec))
    bodies = [_deny(spec), _names(spec), *pods]
    return tuple(
        Manifest(COMPONENT, body, after=("namespace",), spec_path=("deployment", "security"))
        for body in bodies
    )


def components(spec: Spec) -> tuple[str, ...]:
    """The components with pods: what is provisioned beside Milvus, and its roles."""
    return (*bundled(spec), *roles(version_of(spec), deployment_of(spec).mode))


def _policy(spec: Spec, name: str, **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(spec, "milvus", COMPONENT, name=f"{spec.cluster.name}-{name}"),
        "spec": fields,
    }


def _instance(spec: Spec) -> dict[str, Any]:
    """The pods of the instance, without those of day-2 jobs: they have a policy of their own."""
    return {
        "matchLabels": {INSTANCE_LABEL: spec.cluster.name},
        "matchExpressions": [
            {
                "key": NAME_LABEL,
                "operator": "In",
                "values": ["milvus", "etcd", "minio", "kafka"],
            }
        ],
    }


def _deny(spec: Spec) -> dict[str, Any]:
    return _policy(spec, "deny", podSelector=_instance(spec), policyTypes=["Ingress", "Egress"])


def _names(spec: Spec) -> dict[str, Any]:
    namespaces = {
        "namespaceSelector": {
            "matchExpressions": [
                {
                    "key": "kubernetes.io/metadata.name",
                    "operator": "In",
                    "values": list(_DNS_NAMESPACES),
                }
            ]
        }
    }
    ports = [{"protocol": p, "port": n} for n in _DNS_PORTS for p in ("UDP", "TCP")]
    return _policy(
        spec,
        "dns",
        podSelector=_instance(spec),
        policyTypes=["Egress"],
        egress=[{"to": [namespaces, {"ipBlock": {"cidr": _NODE_LOCAL_DNS}}], "ports": ports}],
    )


def _component(spec: Spec, component: str, inside: Sequence[Edge]) -> dict[str, Any]:
    ingress = [
        _rule("from", [_pods(spec, e.source)], e.ports) for e in inside if e.target == component
    ]
    egress = [
        _rule("to", [_pods(spec, e.target)], e.ports) for e in inside if e.source == component
    ]
    return _policy(
        spec,
        component.replace("_", "-"),
        podSelector={"matchLabels": selector(spec, _app(component), component)},
        policyTypes=["Ingress", "Egress"],
        ingress=[*ingress, *_clients(spec, component)],
        egress=[*egress, *_outside(spec, component)],
    )


def _clients(spec: Spec, component: str) -> Iterator[dict[str, Any]]:
    """Who comes from outside of the instance: clients, day-2 jobs, and metrics scrapers."""
    security = deployment_of(spec).security
    if component in ("proxy", "standalone"):
        peers: list[dict[str, Any]] = [{"podSelector": {}}]  # any pod of the own namespace
        peers += [_namespace(name) for name in security.client_namespaces]
        peers += [{"ipBlock": {"cidr": cidr}} for cidr in security.client_cidrs]
        yield _rule("from", peers, (CLIENT_PORT,))
    jobs = {
        "podSelector": {
            "matchLabels": {NAME_LABEL: "kitestring", INSTANCE_LABEL: spec.cluster.name}
        }
    }
    if component == "minio":
        yield _rule("from", [jobs], SERVED["minio"])
    scraped = _metrics_port(component)
    if scraped is not None:
        # 9091 also stops components and shows profiles: it is not for every client
        scrapers = [_namespace(name) for name in security.metrics_namespaces]
        if component not in bundled(spec):
            scrapers.append(jobs)
        if scrapers:
            yield _rule("from", scrapers, (scraped,))


def _metrics_port(component: str) -> int | None:
    if component == "etcd":
        return etcd.METRICS_PORT
    return None if component in ("minio", "kafka") else METRICS_PORT


def _outside(spec: Spec, component: str) -> Iterator[dict[str, Any]]:
    """What a role of Milvus reaches that is not provisioned beside it."""
    deployment, log = deployment_of(spec), message_log(spec)
    if component in bundled(spec):
        return
    targets: list[tuple[str, int]] = [_host_port(e) for e in deployment.etcd.endpoints]
    if component != "index_node":
        if isinstance(log, Kafka):
            targets += [_host_port(broker) for broker in log.brokers]
        elif isinstance(log, Pulsar):
            targets.append((log.address, log.port))
    store = object_store(spec)
    if deployment.minio is None:
        targets.append((store.host, store.port))
    for host, port in dict.fromkeys(targets):
        yield from reach(host, port, deployment.namespace)
    if deployment.identity is not None:
        yield _rule("to", [{"ipBlock": {"cidr": c}} for c in _ANYWHERE], (443,))
        for cidr, port in _TOKENS[deployment.identity.provider]:
            yield _rule("to", [{"ipBlock": {"cidr": cidr}}], (port,))


def reach(host: str, port: int, own_namespace: str) -> Iterator[dict[str, Any]]:
    """Egress rules that lead to `host:port`, as far as a policy can say it (see above)."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    else:
        cidr = f"{address}/{address.max_prefixlen}"
        yield _rule("to", [{"ipBlock": {"cidr": cidr}}], (port,))
        return
    parts = host.rstrip(".").split(".")
    if len(parts) == 1:
        yield {"to": [_namespace(own_namespace)]}
        return
    if len(parts) == 2 or parts[2] == "svc":
        yield {"to": [_namespace(parts[1])]}
    if len(parts) == 2 or parts[2] != "svc":  # two parts may be a domain as well
        yield _rule("to", [{"ipBlock": {"cidr": c}} for c in _ANYWHERE], (port,))


def _host_port(endpoint: str) -> tuple[str, int]:
    """Host and port of `host:port`, with or without a scheme."""
    host, _, port = endpoint.rpartition("//")[2].rpartition(":")
    return host, int(port)


def _app(component: str) -> str:
    """The app's name label: everything that is no dependency is Milvus."""
    return component if component in ("etcd", "minio", "kafka") else "milvus"


def _pods(spec: Spec, component: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": selector(spec, _app(component), component)}}


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _rule(
    direction: str, peers: Sequence[Mapping[str, Any]], ports: Iterable[int]
) -> dict[str, Any]:
    return {
        direction: [dict(peer) for peer in peers],
        "ports": [{"protocol": "TCP", "port": port} for port in ports],
    }
