"""A small spec in a real file, and a snapshot in which everything is as it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitestring.model.backup import BackupSummary
from kitestring.model.collection import (
    CollectionInfo,
    Field,
    Index,
    IndexState,
    LoadedSegment,
    Partition,
    Schema,
    Segment,
)
from kitestring.model.drill import DrillSummary
from kitestring.model.snapshot import ObservedCollection, RowCensus, Snapshot
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

CENSUS_UNCHANGED: Mapping[str, Any] = {}
NOW = 1_800_000_000_000  # ms since the epoch
HOUR = 3_600_000

DRIFT_SPEC = """\
version: 1
cluster: {name: test}
connection: {uri: "http://127.0.0.1:19530"}
state: state
models:
  - {provider: hashing, name: words, version: "1", dimension: 8}
collections:
  - name: docs
    model: words@1
    chunking: {strategy: fixed, size: 200, overlap: 0, version: 1}
    properties: {collection.ttl.seconds: "0"}
    indexes:
      - field: embedding
        type: HNSW
        metric: COSINE
        params: {M: 16, efConstruction: 200}
    load: {loaded: true, replicas: 1}
    aliases: [current]
backup:
  store: {type: local, path: backups}
objectives: {rpo: 24h, rto: 10m, drill_every: 7d}
storage: {type: local, path: milvus}
"""

SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64),
        Field("embedding", "FLOAT_VECTOR", dim=8),
        Field("tenant_id", "VARCHAR", max_length=256),
        Field("doc_id", "VARCHAR", max_length=1024),
        Field("chunk_index", "INT64"),
        Field("text", "VARCHAR", max_length=32768),
        Field("content_hash", "VARCHAR", max_length=64),
        Field("embedding_model", "VARCHAR", max_length=256),
        Field("chunker", "VARCHAR", max_length=128),
        Field("last_embedded_at", "INT64"),
    ),
    dynamic=True,
)
INDEX = Index(
    "embedding", "embedding", "HNSW", "COSINE", {"M": "16", "efConstruction": "200", "extra": "1"}
)
INFO = CollectionInfo(
    name="docs",
    id=7,
    schema=SCHEMA,
    shards=1,
    partitions=(Partition("_default", 8),),
    consistency="Bounded",
    properties={"collection.ttl.seconds": "0", "mmap.enabled": "false"},
    aliases=("current",),
    indexes=(IndexState(INDEX, 3000, 3000, 0, "Finished"),),
    load_state="Loaded",
    replicas=1,
)
CENSUS = RowCensus(
    path="segments",
    complete=True,
    rows_read=3000,
    distinct_keys=3000,
    counted=3000,
    ledger_rows=3000,
    models={"words@1": 3000},
    chunkers={"fixed/200/0/1": 3000},
    seconds=0.25,
)
COLLECTION = ObservedCollection(
    INFO,
    (Segment(100, 8, 3000, "Flushed", "0"),),
    (LoadedSegment(100, 3000, "Sealed", "embedding", 5, (1,)),),
    CENSUS,
)
BACKUP = BackupSummary(
    id="b1",
    cluster="test",
    method="physical",
    created_at=NOW - 2 * HOUR,
    boundary=NOW - 2 * HOUR,
    server_version="2.3.5",
    collections=("docs",),
    rows=3000,
    bytes=1000,
    copied_bytes=1000,
    manifest_sha256="0" * 64,
    verified_at=NOW - HOUR,
    verified_tier="full",
)
DRILL = DrillSummary("d1", "b1", NOW - HOUR, True, 3600.0, 20.0)
CLEAN = Snapshot(
    cluster="test",
    server_version="2.3.5",
    taken_at=NOW,
    collections={"docs": COLLECTION},
    aliases={"current": "docs"},
    backups=(BACKUP,),
    drills=(DRILL,),
    seconds=0.5,
)


@pytest.fixture
def spec_from(tmp_path: Path) -> Callable[..., LoadedSpec]:
    """Loads `DRIFT_SPEC` with pieces of its text replaced: `spec_from(("old", "new"), …)`."""

    def make(*changes: tuple[str, str]) -> LoadedSpec:
        text = DRIFT_SPEC
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / "cluster.yaml"
        file.write_text(text)
        return load(file)

    return make


@pytest.fixture
def clean() -> Snapshot:
    """A snapshot in which all is as `DRIFT_SPEC` says."""
    return CLEAN


@pytest.fixture
def with_docs() -> Callable[..., Snapshot]:
    """The clean snapshot with the collection `docs` changed.

    Keywords are fields of `CollectionInfo`, of `RowCensus` (in `census=dict(…)`; None for no
    census), or of `ObservedCollection`.
    """

    def make(
        census: Mapping[str, Any] | None = CENSUS_UNCHANGED,
        segments: tuple[Segment, ...] = COLLECTION.segments,
        loaded_segments: tuple[LoadedSegment, ...] | None = None,
        **info: Any,
    ) -> Snapshot:
        described = replace(INFO, **info)
        if loaded_segments is None:  # each replica has a query node of its own
            nodes = tuple(range(1, max(1, described.replicas) + 1))
            loaded_segments = tuple(replace(s, node_ids=nodes) for s in COLLECTION.loaded_segments)
        changed = ObservedCollection(
            described,
            segments,
            loaded_segments,
            None if census is None else replace(CENSUS, **census),
        )
        return replace(CLEAN, collections={"docs": changed})

    return make
