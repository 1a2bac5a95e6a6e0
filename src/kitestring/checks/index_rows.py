"""Index coverage: rows without an index, and segments in memory without theirs."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import COLLECTION_THERE, Pair, check, command, pairs, rows_text
from kitestring.checks.index import index_on, index_subject
from kitestring.model.collection import IndexState
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

# Milvus builds no index for a smaller segment (indexCoord.minSegmentNumRowsToEnableIndex of
# milvus.yaml, later dataCoord.index…): it searches it exactly.
SMALL_SEGMENT_ROWS = 1024


def unindexed_rows(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows on disk that an index does not cover, beyond what the server never indexes."""
    for pair in pairs(loaded, snapshot):
        small = sum(
            s.rows
            for s in pair.observed.segments
            if s.state == "Flushed" and s.rows < SMALL_SEGMENT_ROWS
        )
        for position, wanted in enumerate(pair.spec.indexes):
            state = index_on(pair, wanted)
            if state is None:
                continue
            rows = max(state.total_rows - state.indexed_rows, state.pending_rows, 0)
            failed = state.state.lower() == "failed"
            if not rows and not failed:
                continue
            severity, why, hint = _judge(state, rows, small)
            yield Finding(
                "index.unindexed-rows",
                severity,
                index_subject(pair, wanted),
                f"{rows_text(rows)} are not in the index of the field `{wanted.field}`: {why}",
                expected="every row of the flushed segments indexed",
                observed=f"{state.indexed_rows:,} of {state.total_rows:,} rows, {state.state}",
                hint=hint or command(loaded, "reconcile"),
                location=pair.locate("indexes", position),
            )


def _judge(state: IndexState, rows: int, small: int) -> tuple[Severity, str, str]:
    """How grave unindexed rows are, why, and what to do about it (empty: reconcile)."""
    if state.state.lower() == "failed":
        return Severity.FAIL, "the server failed to build it", ""
    if rows <= small:
        return (
            Severity.INFO,
            f"segments below {SMALL_SEGMENT_ROWS:,} rows are searched exactly",
            "nothing to do; compaction joins small segments",
        )
    if _building(state):
        return Severity.WARN, "the server is building it", "run this again when it is built"
    return Severity.FAIL, "the server says that it is finished", ""


def _building(state: IndexState) -> bool:
    """Pending rows tell more than the state: 2.3 says `Finished` while it has them."""
    return state.pending_rows > 0 or state.state.lower() in ("inprogress", "unissued")


def loaded_segments(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Segments in the query nodes' memory against those on disk, and their index."""
    for pair in pairs(loaded, snapshot):
        if not pair.observed.info.loaded:
            continue  # load.state says so
        yield from _without_index(pair)
        yield from _not_in_memory(pair)


def _without_index(pair: Pair) -> Iterator[Finding]:
    states = [s for wanted in pair.spec.indexes if (s := index_on(pair, wanted)) is not None]
    names = {state.index.name for state in pair.observed.info.indexes}
    vectors = {f.name for f in pair.observed.info.schema.vectors}
    if not any(state.index.field in vectors for state in states):
        return  # index.missing says so
    bare = [
        s
        for s in pair.observed.loaded_segments
        if s.state == "Sealed"
        and s.rows >= SMALL_SEGMENT_ROWS
        and (not s.index_id or (s.index_name and s.index_name not in names))
    ]
    if not bare:
        return
    building = any(_building(state) for state in states)
    yield Finding(
        "index.segments",
        Severity.WARN if building else Severity.FAIL,
        f"{pair.subject}/segments/index",
        f"{len(bare)} loaded segments are searched without their index"
        + (", which is being built" if building else ""),
        expected="every sealed segment in memory has its index",
        observed=f"{rows_text(sum(s.rows for s in bare))} in segments "
        + ", ".join(str(s.id) for s in bare[:5]),
        hint="run this again when it is built"
        if building
        else "release and load the collection, so that the query nodes take up the index",
        location=pair.locate("indexes"),
    )


def _not_in_memory(pair: Pair) -> Iterator[Finding]:
    disk = {s.id: s.rows for s in pair.observed.segments if s.on_disk}
    memory = {s.id: s.rows for s in pair.observed.loaded_segments if s.state == "Sealed"}
    growing = {s.id for s in pair.observed.loaded_segments if s.state != "Sealed"}
    absent = [i for i in disk if i not in memory and i not in growing]
    differing = [i for i in disk if i in memory and memory[i] != disk[i]]
    if not absent and not differing:
        return
    listed = ", ".join(str(i) for i in sorted(absent + differing)[:5])
    yield Finding(
        "index.segments",
        # a flush or a compaction reaches the query nodes after 10 to 40 s (seen on 2.3.5); until
        # then they serve the same rows from the growing or the compacted segments
        Severity.FAIL if differing else Severity.WARN,
        f"{pair.subject}/segments/rows",
        f"{len(differing)} segments in memory have another number of rows than on disk"
        if differing
        else f"{len(absent)} segments on disk are not in memory as such; query nodes follow a "
        "flush or a compaction within a minute",
        expected="every flushed segment in memory, with as many rows",
        observed=f"{sum(memory.get(i, 0) for i in disk):,} of {sum(disk.values()):,} rows; "
        f"segments {listed}",
        hint="run this again in a minute; if it stays, release and load the collection",
        location=pair.locate("load"),
    )


CHECKS = (
    check(
        "index.unindexed-rows",
        "Every row on disk is in the index",
        unindexed_rows,
        meaning="Rows of flushed segments are not indexed. Rows that are still growing do not "
        "count, and segments below 1,024 rows, for which Milvus builds no index, are told as "
        "info. An index that is being built is a warning.",
        cause="The index nodes are down, full or behind, or a build failed.",
        mend="Look at the index nodes; `kitestring reconcile` builds the index again.",
        requires=(COLLECTION_THERE,),
    ),
    check(
        "index.segments",
        "Every segment in memory has its index and all its rows",
        loaded_segments,
        meaning="A query node holds a sealed segment without its index (so it scans it), or the "
        "segments in memory are not the flushed ones, row for row. Segments that the query nodes "
        "do not have yet are a warning: after a flush or a compaction they follow within a "
        "minute, and serve the same rows from elsewhere until then.",
        cause="The collection was loaded before its index was built, a query node restarted, or "
        "a handoff after a flush or a compaction hangs.",
        mend="Release and load the collection.",
        requires=(COLLECTION_THERE,),
    ),
)
