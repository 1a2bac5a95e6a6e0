"""Rules about who can reach pods: load balancers, network policies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from kitestring.provision.policy.resource import WORKLOADS, Resource, Unknown, selects
from kitestring.provision.policy.rule import Context, ResourceRule, StackRule
from kitestring.spec.plain import items, mapping, text

# annotation -> value (lower case) that makes a balancer private, as each cloud documents it
INTERNAL = (
    ("service.beta.kubernetes.io/aws-load-balancer-scheme", "internal"),
    ("service.beta.kubernetes.io/aws-load-balancer-internal", "true"),
    ("networking.gke.io/load-balancer-type", "internal"),
    ("cloud.google.com/load-balancer-type", "internal"),
    ("service.beta.kubernetes.io/azure-load-balancer-internal", "true"),
    ("service.beta.kubernetes.io/openstack-internal-load-balancer", "true"),
    ("service.beta.kubernetes.io/oci-load-balancer-internal", "true"),
    ("service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type", "intranet"),
    ("service.kubernetes.io/ibm-load-balancer-cloud-provider-ip-type", "private"),
)


def no_public_load_balancer(resource: Resource, context: Context) -> Iterator[str]:
    if resource.kind != "Service":
        return
    kind = text(resource.spec.get("type"))
    if kind == "LoadBalancer" and not _internal(resource):
        yield (
            f"{resource.label} is a load balancer that the internet may reach; annotate it as "
            "internal, name private `loadBalancerSourceRanges`, or make it a ClusterIP"
        )
    if kind == "NodePort" and (context.spec is None or _is_prod(context)):
        yield (
            f"{resource.label} opens a port on every node, in production; make it a ClusterIP"
            if context.spec is not None
            else f"{resource.label} opens a port on every node, and whether this is production "
            f"is not known: {context.problem}"
        )


def _is_prod(context: Context) -> bool:
    return context.spec is not None and context.spec.cluster.environment == "prod"


def _internal(resource: Resource) -> bool:
    given = mapping(resource.props.get("metadata")).get("annotations")
    if isinstance(given, Unknown):
        return True
    annotations = mapping(given)
    if any(text(annotations.get(key)).lower() == value for key, value in INTERNAL):
        return True
    ranges = items(resource.spec.get("loadBalancerSourceRanges"))
    return bool(ranges) and all(_private(r) for r in ranges)


def _private(cidr: Any) -> bool:
    try:
        return ipaddress.ip_network(text(cidr), strict=False).is_private
    except ValueError:
        return False


def network_policy_present(
    resources: tuple[Resource, ...], _: Context
) -> Iterator[tuple[Resource | None, str]]:
    """Pods that no policy picks accept everything from everywhere."""
    policies = [r for r in resources if r.kind == "NetworkPolicy"]
    for workload in resources:
        if workload.kind not in WORKLOADS | {"CronJob", "Job"}:
            continue
        if not any(_guards(policy, workload) for policy in policies):
            yield workload, f"{workload.label}: no NetworkPolicy says who may reach its pods"


def _guards(policy: Resource, workload: Resource) -> bool:
    return (
        policy.namespace == workload.namespace
        and "Ingress" in items(policy.spec.get("policyTypes") or ["Ingress"])
        and selects(policy.spec.get("podSelector"), workload.pod_labels)
    )


RULES = (
    ResourceRule(
        "no-public-load-balancer",
        "No Service that the internet may reach",
        no_public_load_balancer,
        reads_spec=True,
    ),
    StackRule(
        "network-policy-present",
        "A NetworkPolicy says who may reach the pods of every workload",
        network_policy_present,
    ),
)
