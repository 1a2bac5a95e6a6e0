"""Node saturation: memory and rows of each query node against the plan, and what its loss takes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kitestring.capacity.calibration import IDLE_QUERY_NODE
from kitestring.capacity.plan import REFUSED_ABOVE, plan
from kitestring.checks.base import COLLECTION_THERE, Pair, check, command, pairs, rows_text
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.nodes import NodesSeen
from kitestring.model.quantity import parse_bytes, shown_bytes
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

OBSERVED = "capacity.observed"
UNEVEN = 2.0  # times the mean of the nodes
_FEW = 10_000  # rows; below, an uneven spread costs nothing
_NOT_READ = NodesSeen(reason="they were not read")


def observed(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Metrics of query nodes could not be read."""
    seen = snapshot.nodes or _NOT_READ
    bare = [str(n.id) for n in seen.nodes if n.memory is None]
    reason = seen.reason or (f"no memory of the query nodes {', '.join(bare)}" if bare else "")
    if reason:
        yield Finding(
            OBSERVED,
            Severity.WARN,
            f"{loaded.spec.cluster.name}/query-nodes",
            f"the metrics of the query nodes could not all be read: {reason}",
            expected="memory, segments and rows of every query node",
            observed=f"{len(seen.nodes) - len(bare)} query nodes",
            hint="correct `metrics` of the spec",
            location=loaded.locate("metrics"),
            inconclusive=True,
        )


def memory(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Query nodes that have little memory left."""
    limit, deployment = node_memory(loaded), loaded.spec.deployment
    headroom = deployment.capacity.headroom if deployment else 0.0
    for node in (snapshot.nodes or _NOT_READ).nodes:
        if node.memory is None or limit is None:
            continue
        part = node.memory / limit
        if part <= min(1 - headroom, REFUSED_ABOVE):
            continue
        full = part > REFUSED_ABOVE
        allowed = REFUSED_ABOVE if full else 1 - headroom
        yield Finding(
            "capacity.memory",
            Severity.FAIL if full else Severity.WARN,
            f"{loaded.spec.cluster.name}/query-node/{node.id}",
            "the query node has no memory left for another load: Milvus refuses it above "
            f"{REFUSED_ABOVE:.0%}"
            if full
            else f"less than the headroom of {headroom:.0%} is left on the query node",
            expected=f"at most {allowed:.0%} of {shown_bytes(limit)}",
            observed=f"{shown_bytes(node.memory)} ({part:.0%}), {node.segments} segments, "
            f"{rows_text(sum(node.rows.values()))}",
            hint=command(loaded, "capacity plan") + "; add memory or query nodes, or load less",
            location=loaded.locate("metrics"),
        )


def rows(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Collections that have outgrown the rows that the plan was made for."""
    planned = {need.name: need.grown for need in plan(loaded.spec).collections}
    for pair in pairs(loaded, snapshot):
        wanted, there = planned.get(pair.spec.name), _rows(pair)
        if wanted is not None and there > wanted:
            yield Finding(
                "capacity.rows",
                Severity.WARN,
                pair.subject,
                "the collection has more rows than capacity was planned for, growth included",
                expected=f"at most {rows_text(wanted)}",
                observed=rows_text(there),
                hint="raise `rows` in the spec, then " + command(loaded, "capacity plan"),
                location=pair.locate("rows"),
            )


def balance(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A query node that holds far more of the rows than the others."""
    held = {n.id: sum(n.rows.values()) for n in (snapshot.nodes or _NOT_READ).nodes}
    total = sum(held.values())
    if len(held) < 2 or total < _FEW:
        return
    mean = total / len(held)
    for node, count in held.items():
        if count > UNEVEN * mean:
            yield Finding(
                "capacity.balance",
                Severity.WARN,
                f"{loaded.spec.cluster.name}/query-node/{node}",
                f"the query node holds {count / total:.0%} of all rows in memory",
                expected=f"at most {UNEVEN:g} times the mean of {rows_text(round(mean))}",
                observed=rows_text(count),
                hint="is balancing on (`queryCoord.autoBalance`)? Large segments can't be divided: "
                "look at the segments of this node",
                location=loaded.locate("metrics"),
            )


def blast_radius(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """What the loss of one query node takes with it, and whether the others can take it over."""
    nodes = {n.id: n for n in (snapshot.nodes or _NOT_READ).nodes}
    cluster, limit = loaded.spec.cluster.name, node_memory(loaded)
    at = loaded.locate("metrics")
    for pair in pairs(loaded, snapshot):
        for node, lost, total in sorted(_alone(pair)):
            promised = pair.spec.load.replicas > 1
            if not promised and len(nodes) > 1:
                continue  # one replica is on some node; that the others can hold it is told below
            yield Finding(
                "capacity.blast-radius",
                Severity.FAIL if promised else Severity.INFO,
                f"{pair.subject}/query-node/{node}",
                f"with the query node {node} goes {lost / total:.0%} of the collection: no other "
                "has these rows"
                + (
                    f", though the spec wants {pair.spec.load.replicas} replicas"
                    if promised
                    else ""
                ),
                expected="every row on two query nodes" if promised else "another query node",
                observed=f"{rows_text(lost)} of {total:,} on this one only",
                hint="load it again with its replicas; are there as many query nodes?"
                if promised
                else "add a query node, if searches must outlive the loss of one",
                location=pair.locate("load"),
            )
    used = {i: n.memory for i, n in nodes.items() if n.memory is not None}
    if limit is None or len(used) < 2 or len(used) < len(nodes):
        return
    for node in sorted(used):
        # what is left on the fullest if the segments of this one are spread over the others
        after = (sum(used.values()) - IDLE_QUERY_NODE) / (len(used) - 1)
        if after > REFUSED_ABOVE * limit:
            yield Finding(
                "capacity.blast-radius",
                Severity.FAIL,
                f"{cluster}/query-node/{node}",
                f"the other query nodes can't take over what the query node {node} holds "
                f"({rows_text(sum(nodes[node].rows.values()))})",
                expected=f"at most {REFUSED_ABOVE:.0%} of {shown_bytes(limit)} on each of the "
                "others",
                observed=f"{shown_bytes(round(after))} on each",
                hint="add a query node, or memory",
                location=at,
            )


def node_memory(loaded: LoadedSpec) -> int | None:
    """Bytes that a query node (or the standalone server) may take."""
    spec = loaded.spec
    if spec.metrics is not None and spec.metrics.node_memory is not None:
        return parse_bytes(spec.metrics.node_memory)
    if spec.deployment is None:
        return None
    found = plan(spec)
    alone = spec.deployment.mode == "standalone"
    given = found.resources("standalone") if alone else found.resources("query_node")
    return parse_bytes(given.memory)


def _rows(pair: Pair) -> int:
    """As written: deleted rows that are not compacted away take memory too."""
    return sum(s.rows for s in pair.observed.segments if not s.deletes_only)


def _alone(pair: Pair) -> Iterator[tuple[int, int, int]]:
    """(query node, rows that are on it only, rows in memory)."""
    where: dict[int, set[int]] = {}
    size: dict[int, int] = {}
    for segment in pair.observed.loaded_segments:
        where.setdefault(segment.id, set()).update(segment.node_ids)
        size[segment.id] = segment.rows
    total = sum(size.values())
    lost: dict[int, int] = {}
    for segment_id, there in where.items():
        if len(there) == 1 and size[segment_id]:
            (node,) = there
            lost[node] = lost.get(node, 0) + size[segment_id]
    for node, count in lost.items():
        yield node, count, total


def _unasked(loaded: LoadedSpec) -> str:
    return "" if loaded.spec.metrics is not None else "has no `metrics`: nodes are not looked at"


_check = partial(check, evidence=Evidence.METRICS, unasked=_unasked)

CHECKS = (
    _check(
        OBSERVED,
        "The metrics of every query node could be read",
        observed,
        severity=Severity.WARN,
        meaning="The metrics of a query node that holds segments could not be read, or do not "
        "tell its memory. Inconclusive. Specs without `metrics` leave the nodes alone, and these "
        "checks are left out.",
        cause="The endpoint is wrong or closed, or Prometheus does not scrape every node.",
        mend="Correct `metrics` of the spec.",
    ),
    _check(
        "capacity.memory",
        "Query nodes have memory left",
        memory,
        meaning="The resident memory of a query node (of a standalone server, of all of it) is "
        "above what the plan leaves it: a warning above the headroom, a failure above the 90% at "
        "which Milvus refuses to load.",
        cause="Collections have grown, more is loaded than planned, or a node was lost and the "
        "others took over.",
        mend="Add memory or query nodes, or release what is not needed; `kitestring capacity "
        "plan` computes what it takes.",
        requires=(OBSERVED,),
    ),
    _check(
        "capacity.rows",
        "Collections have no more rows than planned for",
        rows,
        severity=Severity.WARN,
        meaning="A collection has more rows in its segments than `rows` of the spec with the "
        "growth that `deployment.capacity` plans for.",
        cause="It has grown.",
        mend="Raise `rows`, and see with `kitestring capacity plan` whether it still fits.",
        requires=(COLLECTION_THERE,),
    ),
    _check(
        "capacity.balance",
        "Rows are spread over the query nodes",
        balance,
        severity=Severity.WARN,
        meaning="A query node holds more than twice the mean of the rows: it is the first to run "
        "out of memory, and searches wait for it.",
        cause="Balancing is off or hangs, or few large segments can't be divided.",
        mend="Look at `queryCoord.autoBalance` and at the segments of the node.",
        requires=(OBSERVED,),
    ),
    _check(
        "capacity.blast-radius",
        "The loss of a query node is survived as planned",
        blast_radius,
        meaning="With one query node, rows would go that no other holds though the spec wants "
        "replicas, or the other nodes have no room to take over. For information where there is "
        "only one query node.",
        cause="A replica is missing, or the nodes are too full.",
        mend="Load the collection with its replicas; add a query node or memory.",
        requires=(COLLECTION_THERE, OBSERVED),
    ),
)
