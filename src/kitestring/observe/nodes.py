"""The query nodes by their own metrics, or by what Prometheus has of them.

Names as a 2.3.5 server gives them: `milvus_querynode_segment_num`, `…_entity_num` and
`…_collection_num` carry `node_id`; `process_resident_memory_bytes` is of the process, and is
joined by the endpoint, or in Prometheus by the labels `instance` and `pod`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kitestring.clients.metrics import Sample, query, scrape
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.secrets import read_secret
from kitestring.clients.stack_state import read_stack_state
from kitestring.errors import KitestringError, MetricsUnreadable
from kitestring.model.nodes import NodesSeen, QueryNode
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.metrics import Metrics

MEMORY = "process_resident_memory_bytes"
SEGMENTS, ROWS = "milvus_querynode_segment_num", "milvus_querynode_entity_num"
THERE = "milvus_querynode_collection_num"  # a query node has it once it has held anything
_WANTED = (MEMORY, SEGMENTS, ROWS, THERE)


def probe_nodes(loaded: LoadedSpec, milvus: Milvus, snapshot: Snapshot) -> Snapshot:
    """Adds the query nodes; what can't be read gives a reason. Nothing without `metrics`."""
    wanted = loaded.spec.metrics
    if wanted is None:
        return snapshot
    nodes: dict[int, QueryNode] = {}
    reasons, places = [], []
    try:
        for place, samples in _processes(loaded, wanted):
            places.append(place)
            found = list(nodes_from(samples))
            nodes |= {node.id: node for node in found}
            if not found and wanted.prometheus is None:
                reasons.append(f"{place} has no metrics of a query node that holds anything")
    except KitestringError as error:
        reasons.append(error.message)
    if not nodes and not reasons:
        reasons.append("there are no metrics of a query node")
    holding = {
        node
        for seen in snapshot.collections.values()
        for segment in seen.loaded_segments
        for node in segment.node_ids
    }
    unseen = sorted(holding - nodes.keys())
    if unseen and not reasons:
        reasons.append(f"no metrics of the query nodes {', '.join(map(str, unseen))}")
    return replace(
        snapshot,
        nodes=NodesSeen(
            tuple(nodes[i] for i in sorted(nodes)),
            wanted.prometheus or ", ".join(places),
            "; ".join(reasons),
        ),
    )


def nodes_from(samples: Iterable[Sample]) -> Iterator[QueryNode]:
    """The query nodes of one process: one, or none where it is of another role."""
    memory: int | None = None
    segments: dict[int, int] = {}
    rows: dict[int, dict[int, int]] = {}
    for one in samples:
        if one.name == MEMORY:
            memory = int(one.value)
            continue
        if one.name not in _WANTED or not one.labels.get("node_id", "").isdigit():
            continue
        node = int(one.labels["node_id"])
        segments.setdefault(node, 0)
        if one.name == SEGMENTS:
            segments[node] += int(one.value)
        elif one.name == ROWS and one.labels.get("collection_id", "").isdigit():
            mine = rows.setdefault(node, {})
            collection = int(one.labels["collection_id"])
            mine[collection] = mine.get(collection, 0) + int(one.value)
    for node in sorted(segments):
        held = {c: n for c, n in rows.get(node, {}).items() if n}
        yield QueryNode(node, memory, segments[node], held)


def _processes(loaded: LoadedSpec, wanted: Metrics) -> Iterator[tuple[str, list[Sample]]]:
    timeout = loaded.spec.connection.timeout
    if wanted.prometheus is not None:
        labels = f",{wanted.select}" if wanted.select else ""
        names = "|".join(_WANTED)
        samples = query(
            wanted.prometheus,
            f'{{__name__=~"{names}"{labels}}}',
            timeout=timeout,
            token=read_secret(loaded, wanted.token),
        )
        by_process: dict[tuple[str, str], list[Sample]] = {}
        for one in samples:
            process = (one.labels.get("instance", ""), one.labels.get("pod", ""))
            by_process.setdefault(process, []).append(one)
        for (instance, pod), found in sorted(by_process.items()):
            yield pod or instance, found
        return
    for url in wanted.endpoints or [_embedded(loaded)]:
        yield url, scrape(url, timeout=timeout)


def _embedded(loaded: LoadedSpec) -> str:
    folder = loaded.spec.connection.embedded
    state = read_stack_state(loaded.resolve(folder)) if folder else None
    if state is None:
        raise MetricsUnreadable("no embedded Milvus runs", subject=str(folder))
    return f"http://127.0.0.1:{state.metrics_port}/metrics"
