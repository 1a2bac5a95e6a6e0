"""The capacity plan of a spec: what its collections need, and whether its pods can hold them."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

from kitestring.capacity.calibration import (
    CALIBRATION,
    IDLE_QUERY_NODE,
    IDLE_STANDALONE,
    Calibration,
    calibration_text,
)
from kitestring.capacity.needs import SEGMENT_BYTES, collection_need
from kitestring.capacity.result import CapacityPlan, CollectionNeed, RolePlan, VolumeHint
from kitestring.capacity.volumes import volume_hints
from kitestring.errors import CapacityExceeded, UsageError
from kitestring.model.quantity import LARGEST, memory_quantity, parse_bytes, shown_bytes
from kitestring.model.versions import MilvusVersion, Role, index_builder, roles
from kitestring.spec.deployment import Deployment, Resources
from kitestring.spec.models import Spec

REFUSED_ABOVE = 0.9
"""`queryNode.overloadedMemoryThresholdPercentage`: a query node refuses a load above it."""
BUILD_FACTOR = 3.0
"""Building an index holds a segment's vectors, the index, and its files on the way to storage."""

MINIMUM: Mapping[Role, Resources] = {
    "standalone": Resources(cpu="2", memory="8Gi"),
    "proxy": Resources(cpu="1", memory="4Gi"),
    "coordinator": Resources(cpu="1", memory="2Gi"),
    "query_node": Resources(cpu="1", memory="4Gi"),
    "data_node": Resources(cpu="1", memory="4Gi"),
    "index_node": Resources(cpu="4", memory="8Gi"),
    "streaming_node": Resources(cpu="1", memory="4Gi"),
}
"""Published minima of a pod (Milvus, "Requirements for Installing Milvus on Kubernetes"); a
data node that builds indexes (from 2.6) has those of an index node."""
_COUNT = re.compile(r"[0-9]{1,3}(_[0-9]{3}){0,4}|[0-9]{1,15}")
_GIB_PER_CORE = 8  # memory of a query node for each core that is recommended


def plan(
    spec: Spec,
    rows: Mapping[str, int] | None = None,
    *,
    calibration: Calibration = CALIBRATION,
) -> CapacityPlan:
    """The plan of a spec.

    Args:
        rows: rows of collections by name, in place of the spec's.

    Raises:
        UsageError: `rows` names a collection that the spec has not.
    """
    counts = _rows(spec, rows or {})
    deployment = spec.deployment
    limits = deployment.capacity if deployment else None
    growth = limits.growth if limits else 0.0
    headroom = limits.headroom if limits else 0.0
    needs = [
        collection_need(spec, c, counts[c.name], growth=growth, calibration=calibration)
        for c in spec.collections
    ]
    unknown = tuple(n.name for n in needs if n.rows is None and n.replicas)
    if deployment is None:
        return CapacityPlan(
            spec.cluster.name,
            tuple(needs),
            (),
            (),
            None if unknown else True,
            notes=("the spec has no `deployment`: there are no pods to compare with",),
            unknown=unknown,
            calibration=calibration_text(),
        )
    nodes = 1 if deployment.mode == "standalone" else deployment.replicas("query_node")
    needs = [dataclasses.replace(n, share=_share(n, nodes)) for n in needs]
    planned = [
        _role(deployment, role, needs, headroom)
        for role in roles(MilvusVersion.parse(deployment.version), deployment.mode)
    ]
    volumes = volume_hints(spec, needs)
    reasons = [_does_not_fit(p, needs) for p in planned if not p.fits]
    reasons += [_too_small(v) for v in volumes if v.short and v.firm]
    enough = _nodes_needed(deployment, needs, headroom)
    reasons += _of_a_node(deployment, planned, enough, nodes)
    return CapacityPlan(
        spec.cluster.name,
        tuple(needs),
        tuple(planned),
        tuple(volumes),
        False if reasons else None if unknown else True,
        tuple(reasons),
        (
            *_notes(deployment, planned, headroom),
            *(_too_small(v) for v in volumes if v.short and not v.firm),
        ),
        unknown,
        growth,
        headroom,
        enough,
        calibration_text(),
    )


def require(found: CapacityPlan, *, rows: bool = False) -> None:
    """Refuses a plan that does not fit; one whose rows are not known only where `rows` asks.

    Raises:
        CapacityExceeded: the message says what does not fit.
    """
    if found.reasons:
        lines = "\n".join(f"  {reason}" for reason in found.reasons)
        raise CapacityExceeded(
            f"the collections of `{found.cluster}` do not fit:\n{lines}",
            hint="`kitestring capacity plan` shows what each takes; raise the memory or the "
            "number of pods, or load fewer replicas",
            subject=found.cluster,
        )
    if rows and found.unknown:
        raise CapacityExceeded(
            f"it is not known how many rows {', '.join(f'`{n}`' for n in found.unknown)} will have",
            hint="say it: `rows: N` at the collection",
            subject=found.cluster,
        )


def recommended(spec: Spec, role: Role) -> Resources:
    """What the pods of a role are to ask for where the spec does not say.

    Raises:
        KeyError: the deployment has no such role, or there is none.
    """
    return plan(spec).of(role).recommended


def parse_rows(given: Sequence[str]) -> dict[str, int]:
    """Rows by collection from texts such as `docs=1000000` or `docs=1_000_000`.

    Raises:
        UsageError: a text is of another form.
    """
    rows = {}
    for text in given:
        name, _, number = text.partition("=")
        if not name or not _COUNT.fullmatch(number):
            raise UsageError(
                f"`{text}` does not say rows of a collection", hint="--rows docs=1000000"
            )
        rows[name] = int(number)
    return rows


def _rows(spec: Spec, given: Mapping[str, int]) -> dict[str, int | None]:
    known = {c.name for c in spec.collections}
    for name in given:
        if name not in known:
            raise UsageError(
                f"the spec has no collection `{name}`",
                hint=f"it has {', '.join(sorted(known)) or 'none'}",
            )
    return {c.name: given.get(c.name, c.rows) for c in spec.collections}


def _share(need: CollectionNeed, nodes: int) -> int | None:
    """Bytes of a collection on the fullest query node. A replica has nodes of its own: with 3
    nodes and 2 replicas, one of them is on a single node."""
    if need.memory is None:
        return None
    if not need.replicas:
        return 0
    return math.ceil(need.memory / max(1, nodes // need.replicas))


def _role(
    deployment: Deployment, role: Role, needs: Sequence[CollectionNeed], headroom: float
) -> RolePlan:
    given = deployment.role(role).resources
    minimum = MINIMUM[role]
    version = MilvusVersion.parse(deployment.version)
    builds = index_builder(version, deployment.mode) == role
    if builds and role == "data_node":
        minimum = MINIMUM["index_node"]
    loaded = sum(n.share or 0 for n in needs)
    needed, wanted = 0, 0.0
    if role == "query_node":
        needed = loaded + IDLE_QUERY_NODE if loaded else 0
        wanted = _with_headroom(needed, headroom)
    elif role == "standalone":
        needed = loaded + IDLE_STANDALONE if loaded else 0
        wanted = _with_headroom(needed, headroom) + (_building(needs) if loaded else 0)
    elif builds:
        wanted = _building(needs)
    recommended = minimum
    if wanted > parse_bytes(minimum.memory):
        memory = memory_quantity(min(wanted, LARGEST / 2))
        cores = max(int(float(minimum.cpu)), math.ceil(wanted / 2**30 / _GIB_PER_CORE))
        recommended = Resources(cpu=str(cores), memory=memory)
    limit = parse_bytes((given or recommended).memory)
    return RolePlan(
        role,
        deployment.replicas(role),
        recommended,
        given,
        needed,
        needed <= REFUSED_ABOVE * limit,
    )


def _with_headroom(needed: float, headroom: float) -> float:
    return needed / min(1 - headroom, REFUSED_ABOVE)


def _building(needs: Sequence[CollectionNeed]) -> float:
    """Memory of building the index of one segment of the largest collection."""
    largest = max((n.memory or 0 for n in needs), default=0)
    return BUILD_FACTOR * min(SEGMENT_BYTES, largest)


def _nodes_needed(
    deployment: Deployment, needs: Sequence[CollectionNeed], headroom: float
) -> int | None:
    """The fewest query nodes on which everything fits, at the memory that a node can give."""
    role = deployment.role("query_node")
    size = role.resources.memory if role.resources else deployment.capacity.node_memory
    if deployment.mode == "standalone" or size is None:
        return None
    room = parse_bytes(size) * min(1 - headroom, REFUSED_ABOVE) - IDLE_QUERY_NODE
    loaded = [n for n in needs if n.memory and n.replicas]
    if room <= 0:
        return None
    fewest = max((n.replicas for n in loaded), default=1)
    for nodes in range(fewest, 1025):
        if sum(_share(n, nodes) or 0 for n in loaded) <= room:
            return nodes
    return None


def _does_not_fit(found: RolePlan, needs: Sequence[CollectionNeed]) -> str:
    limit = parse_bytes((found.given or found.recommended).memory)
    parts = ", ".join(f"{n.name} {shown_bytes(n.share)}" for n in needs if n.share)
    what = "the standalone server" if found.role == "standalone" else "the fullest query node"
    return (
        f"{what} would hold {shown_bytes(found.needed)} ({parts}); its memory is "
        f"{shown_bytes(limit)}, and Milvus refuses a load above {REFUSED_ABOVE:.0%} of it "
        f"({shown_bytes(REFUSED_ABOVE * limit)})"
    )


def _too_small(volume: VolumeHint) -> str:
    return (
        f"each volume of {volume.component} should have {shown_bytes(volume.needed)} and has "
        f"{shown_bytes(volume.given or 0)}: {volume.why}"
    )


def _of_a_node(
    deployment: Deployment, planned: Sequence[RolePlan], enough: int | None, nodes: int
) -> list[str]:
    """Pods that are larger than what a Kubernetes node can give."""
    size = deployment.capacity.node_memory
    if size is None:
        return []
    room = parse_bytes(size)
    found = []
    for one in planned:
        wanted = (one.given or one.recommended).memory
        if parse_bytes(wanted) > room:
            more = (
                f"; {enough} query nodes would do, there are {nodes}"
                if one.role == "query_node" and enough and enough > nodes
                else ""
            )
            found.append(
                f"a pod of {one.role} asks for {wanted}, and a Kubernetes node can give "
                f"{size}{more}"
            )
    return found


def _notes(deployment: Deployment, planned: Sequence[RolePlan], headroom: float) -> list[str]:
    notes = []
    for one in planned:
        if not one.needed or one.given is None:
            continue
        limit = parse_bytes(one.given.memory)
        if one.fits and one.needed > (1 - headroom) * limit:
            notes.append(
                f"the fullest pod of {one.role} would be {one.needed / limit:.0%} full: less than "
                f"the headroom of {headroom:.0%} stays free"
            )
    return notes
