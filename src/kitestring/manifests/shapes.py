"""What each role of Milvus is: its command, ports, and how many pods of which size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kitestring.capacity.plan import recommended
from kitestring.manifests.dependencies import version_of
from kitestring.manifests.labels import deployment_of
from kitestring.manifests.refuse import refuse
from kitestring.model.versions import SCALABLE, Role, roles
from kitestring.spec.deployment import Placement, Resources
from kitestring.spec.models import Spec

METRICS_PORT = 9091
GRPC_PORT = 19530

# all coordinators in one process. 2.6 keeps the old name of the command, as Milvus' own chart
# and operator do
_COORDINATORS = ("mixture", "-rootcoord", "-querycoord", "-datacoord", "-indexcoord")
_COMMANDS: Mapping[Role, tuple[str, ...]] = {
    "standalone": ("standalone",),
    "proxy": ("proxy",),
    "coordinator": _COORDINATORS,
    "query_node": ("querynode",),
    "data_node": ("datanode",),
    "index_node": ("indexnode",),
    "streaming_node": ("streamingnode",),
}
PORTS: Mapping[Role, Mapping[str, int]] = {
    "standalone": {"grpc": GRPC_PORT},
    "proxy": {"grpc": GRPC_PORT, "internal": 19529},
    "coordinator": {"rootcoord": 53100, "querycoord": 19531, "datacoord": 13333},
    "query_node": {"querynode": 21123},
    "data_node": {"datanode": 21124},
    "index_node": {"indexnode": 21121},
    "streaming_node": {"streamingnode": 22222},
}
"""Ports of each role beside that of metrics and health (9091), by name."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many pods. `fixed` is None where an autoscaler decides between `least` and `most`."""

    fixed: int | None
    least: int
    most: int


def existing_roles(spec: Spec) -> tuple[Role, ...]:
    """The roles of this version and mode, in the order in which they roll.

    Raises:
        SpecInvalid: the spec names a role that this version or mode has not.
    """
    deployment, version = deployment_of(spec), version_of(spec)
    there = roles(version, deployment.mode)
    for role in PORTS:
        if getattr(deployment.roles, role) is not None and role not in there:
            raise refuse(
                ("deployment", "roles", role),
                f"Milvus {version} as {deployment.mode} has no such role: it has "
                f"{', '.join(there)}",
            )
    return there


def command(role: Role) -> list[str]:
    """What the container runs; the image has `milvus` on its PATH."""
    return ["milvus", "run", *_COMMANDS[role]]


def count(spec: Spec, role: Role) -> Count:
    """How many pods of a role.

    Raises:
        SpecInvalid: an autoscaler for a role that can't be scaled, or two standalone servers.
    """
    given = deployment_of(spec).role(role)
    if given.autoscale is not None:
        if role not in SCALABLE:
            raise refuse(
                ("deployment", "roles", role, "autoscale"),
                f"only {' and '.join(SCALABLE)} are scaled by load: write `replicas`",
            )
        return Count(None, given.autoscale.minimum, given.autoscale.maximum)
    replicas = given.replicas or 1
    if role == "standalone" and replicas > 1:
        raise refuse(
            ("deployment", "roles", role, "replicas"),
            "a standalone server is one pod: write `mode: cluster` for more",
        )
    return Count(replicas, replicas, replicas)


def pod_resources(spec: Spec, role: Role) -> Resources:
    """What a pod asks for: what the spec says, or else what the capacity plan recommends."""
    return deployment_of(spec).role(role).resources or recommended(spec, role)


def placement_of(spec: Spec, role: Role) -> Placement:
    """Where the pods of a role may run.

    A single pod keeps no distance: from its own successor it would, and on a single node a
    rollout would then never end.
    """
    chosen = deployment_of(spec).role(role).placement or deployment_of(spec).placement
    if count(spec, role).most == 1:
        return chosen.model_copy(update={"spread": "none"})
    return chosen
