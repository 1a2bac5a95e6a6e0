"""Resource groups: whether each has its query nodes, and its collections."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import COLLECTION_THERE, check, command, pairs
from kitestring.model.collection import CollectionInfo
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import Load


def misplaced(wanted: Load, info: CollectionInfo) -> bool:
    """Whether a loaded collection is in other groups than the spec names; false where it names
    none, or another number of replicas, which comes first."""
    groups = wanted.resource_groups
    if not (groups and wanted.loaded and info.loaded) or info.replicas != wanted.replicas:
        return False
    each = groups * wanted.replicas if len(groups) == 1 else groups
    return sorted(each) != sorted(info.resource_groups)


def nodes(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A group of the spec that is not there, or that has another number of query nodes."""
    there = {g.name: g for g in snapshot.resource_groups or ()}
    for position, wanted in enumerate(loaded.spec.resource_groups):
        found = there.get(wanted.name)
        observed = "absent" if found is None else str(found.nodes)
        lost = found is not None and found.available < min(found.nodes, wanted.nodes)
        if found is not None and found.nodes == wanted.nodes and not lost:
            continue
        yield Finding(
            "groups.nodes",
            Severity.WARN if found and found.available > wanted.nodes else Severity.FAIL,
            f"{loaded.spec.cluster.name}/resource-group/{wanted.name}",
            "query nodes of the group do not answer"
            if found and found.nodes == wanted.nodes
            else "the group has another number of query nodes than the spec says",
            expected=str(wanted.nodes),
            observed=f"{found.available} of {found.nodes}" if found and lost else observed,
            hint="`pulumi up --refresh`",
            location=loaded.locate("resource_groups", position, "nodes"),
        )


def placement(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A collection that is loaded into other groups than those that the spec names."""
    for pair in pairs(loaded, snapshot):
        info, wanted = pair.observed.info, pair.spec.load
        if misplaced(wanted, info):
            yield Finding(
                "groups.placement",
                Severity.FAIL,
                pair.subject,
                "it is loaded in other resource groups than the spec says",
                expected=", ".join(wanted.resource_groups),
                observed=", ".join(info.resource_groups),
                hint=command(loaded, "reconcile"),
                location=pair.locate("load", "resource_groups"),
            )


def _unasked(loaded: LoadedSpec) -> str:
    return "" if loaded.spec.resource_groups else "has no `resource_groups`"


CHECKS = (
    check(
        "groups.nodes",
        "Resource groups have their query nodes",
        nodes,
        meaning="A group with fewer query nodes than the spec gives it serves its collections "
        "with less, or not at all. With more, others lack them: a warning.",
        cause="Nodes were moved by hand, query nodes are down, or there are too few of them.",
        mend="`pulumi up --refresh` gives each group its nodes; lost ones the server replaces from "
        "the default group as soon as there are any.",
        evidence=Evidence.GROUPS,
        unasked=_unasked,
    ),
    check(
        "groups.placement",
        "Collections are loaded into the resource groups that the spec names",
        placement,
        meaning="Its searches take query nodes that are meant for others, and it has none of its "
        "own.",
        cause="It was loaded by hand, or restored: without a word about groups, a collection is "
        "loaded into the default group.",
        mend="`kitestring reconcile` moves its replicas.",
        requires=(COLLECTION_THERE,),
        unasked=_unasked,
    ),
)
