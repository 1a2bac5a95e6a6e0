"""Segments in memory: each replica has all of them, and rows do not grow without end."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import COLLECTION_THERE, check, pairs, rows_text
from kitestring.model.collection import Schema
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

# dataCoord.segment.maxSize of milvus.yaml is 512 MB to 1 GB: a growing segment is sealed before
SEALED_BEFORE = 2**30
_BYTES = {
    "FLOAT_VECTOR": 4.0,
    "FLOAT16_VECTOR": 2.0,
    "BFLOAT16_VECTOR": 2.0,
    "BINARY_VECTOR": 0.125,
}


def replica_segments(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Sealed segments that fewer query nodes have than there are replicas."""
    for pair in pairs(loaded, snapshot):
        replicas = pair.observed.info.replicas
        nodes: dict[int, set[int]] = {}
        rows: dict[int, int] = {}
        for segment in pair.observed.loaded_segments:
            if segment.state == "Sealed" and segment.node_ids:
                nodes.setdefault(segment.id, set()).update(segment.node_ids)
                rows[segment.id] = segment.rows
        bare = sorted(i for i, there in nodes.items() if len(there) < replicas)
        if bare:
            yield Finding(
                "index.replica-segments",
                Severity.FAIL,
                f"{pair.subject}/segments/replicas",
                f"{len(bare)} segments are not in every replica",
                expected=f"each segment on {replicas} query nodes",
                observed=f"{rows_text(sum(rows[i] for i in bare))} on fewer; segments "
                + ", ".join(str(i) for i in bare[:5]),
                hint="run this again in a minute; if it stays, look at the query nodes, then "
                "release and load the collection",
                location=pair.locate("load", "replicas"),
            )


def growing(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Growing segments that should have been sealed long since."""
    for pair in pairs(loaded, snapshot):
        size = _vector_bytes(pair.observed.info.schema)
        late = [
            s
            for s in pair.observed.loaded_segments
            if s.state == "Growing" and s.rows * size > SEALED_BEFORE
        ]
        if late:
            yield Finding(
                "index.growing",
                Severity.WARN,
                f"{pair.subject}/segments/growing",
                f"{rows_text(sum(s.rows for s in late))} grow in segments that are not sealed: "
                "they are searched without their index",
                expected="growing segments of at most 1 GiB of vectors",
                observed=f"{max(s.rows for s in late) * size / 2**30:.1f} GiB; segments "
                + ", ".join(str(s.id) for s in late[:5]),
                hint="look at the data nodes: they seal and flush",
                location=pair.locate(),
            )


def _vector_bytes(schema: Schema) -> float:
    """Of one row; sparse vectors are not counted."""
    return sum((f.dim or 0) * _BYTES.get(f.type, 0.0) for f in schema.vectors)


CHECKS = (
    check(
        "index.replica-segments",
        "Every replica has every segment",
        replica_segments,
        meaning="A sealed segment is in the memory of fewer query nodes than the collection has "
        "replicas: some searches miss its rows or wait for them, and losing a node loses more "
        "than planned.",
        cause="A query node restarted, ran out of memory, or balancing hangs.",
        mend="Look at the query nodes; release and load the collection.",
        requires=(COLLECTION_THERE,),
    ),
    check(
        "index.growing",
        "Growing segments are sealed in time",
        growing,
        severity=Severity.WARN,
        meaning="A growing segment in a query node's memory has more than 1 GiB of vectors. "
        "Growing rows are searched without the index of the spec, and are lost from memory until "
        "they are replayed when the node restarts.",
        cause="The data nodes do not keep up, or flushing fails.",
        mend="Look at the data nodes and the object store; `flush` seals at once.",
        requires=(COLLECTION_THERE,),
    ),
)
