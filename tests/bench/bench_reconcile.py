"""Rows against the ledger: the comparison alone at four sizes, the scan, and a whole drift run.

`rows-N` compares generated rows (see `reconcile_run`); its figures stand beside a projection to a
billion rows. `scan` reads key, content hash and label of a real server's rows from its files,
against pymilvus's `query_iterator`; `drift` is `kitestring drift` on a million real rows.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from kitestring.clients.milvus.client import MilvusServer
from kitestring.ingest.ledger import open_ledger
from kitestring.local import running
from kitestring.model.arrow import arrow_schema
from kitestring.model.ledger import LedgerRow
from kitestring.observe.from_segments import SegmentRows
from kitestring.observe.take import Columns
from kitestring.parallel import Serial
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.schema import collection_schema, wanted_index
from tests.bench.measure import Result, kitestring, run

SIZES = [
    int(n) for n in os.environ.get("BENCH_ROWS", "1000000,2000000,5000000,10000000").split(",")
]
REAL = int(os.environ.get("BENCH_REAL_ROWS", "1000000"))
DIMENSION, BATCH = 128, 10_000
BILLION, NODES, CORES = 10**9, 8, 8  # what the projection is made for
NAME, MODEL, CHUNKER = "docs", "words@1", "fixed/200/0/1"


def results() -> Iterator[Result]:
    rate = 0.0
    for rows in SIZES:
        ran = run(sys.executable, "-m", "tests.bench.reconcile_run", str(rows))
        found = json.loads(ran.output.splitlines()[-1])
        peak = found["peak"] + 2 * found["peak_of_a_worker"]
        rate = rows / found["cpu_seconds"]
        detail = {
            **found,
            "peak_mib_of_all": round(peak / 2**20),
            "rows_per_cpu_s": round(rate),
            "us_of_cpu_a_row": round(found["cpu_seconds"] / rows * 1e6, 2),
        }
        limit = 60.0 if rows == 10_000_000 else None
        yield Result(
            f"rows-{rows // 1_000_000}M", found["seconds"], "s", limit=limit, detail=detail
        )
        print(f"    {detail}", file=sys.stderr)
    yield from _real(rate)


def _real(compared: float) -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="kitestring-bench-") as folder:
        home = Path(folder)
        with running(home / "milvus", timeout=180) as state:
            loaded = _spec(home)
            with MilvusServer(state.uri, timeout=60) as milvus:
                _fill(milvus, loaded)
                scan = _scan(milvus, loaded, home)
                yield scan
                yield _projected(REAL / scan.detail["cpu_seconds"], compared)
            ran = kitestring("drift", "--spec", str(loaded.file), "--only", "rows", expect=(0,))
            print(f"    {ran.output.splitlines()[-1]}", file=sys.stderr)
            yield Result(
                "drift-rows", ran.seconds, "s", limit=60.0,
                detail={"rows": REAL, "dimension": DIMENSION, "peak_mib": ran.peak >> 20},
            )  # fmt: skip


def _projected(scanned: float, compared: float) -> Result:
    """Hours for a billion rows: the scan on every core of a Ray cluster, the comparison on one
    node's. Rows a CPU second as measured in this run."""
    scan = BILLION / scanned / (NODES * CORES)
    merge = BILLION / compared / CORES
    print(
        f"    a billion rows on {NODES} nodes of {CORES} cores:"
        f" scan 1e9 / {scanned:,.0f} rows per CPU s / {NODES * CORES} cores = {scan:,.0f} s;"
        f" comparison 1e9 / {compared:,.0f} rows per CPU s / {CORES} cores = {merge:,.0f} s;"
        f" spilled {BILLION * (48 * 2 + 32) / 2**30:,.0f} GiB",
        file=sys.stderr,
    )
    return Result(
        "billion-projected", (scan + merge) / 60, "min", detail={"scan_s": scan, "merge_s": merge}
    )


def _scan(milvus: MilvusServer, loaded: LoadedSpec, home: Path) -> Result:
    info = milvus.describe(NAME)
    columns = Columns("id", "content_hash", "embedding_model", None, None)
    spill = home / "spill"
    spill.mkdir()
    seconds, used = [], []
    for _ in range(3):
        begun, spent = time.perf_counter(), time.process_time()
        source = SegmentRows(loaded, info, milvus.segments(NAME), columns)
        taken = source.take(Serial(), spill)
        seconds.append(time.perf_counter() - begun)
        used.append(time.process_time() - spent)
        if taken.rows != REAL:
            raise RuntimeError(f"{taken.rows} rows, not {REAL}")
    begun, some = time.perf_counter(), _iterated(milvus, columns.read(), 100_000)
    baseline = (time.perf_counter() - begun) * REAL / some
    value = min(seconds)
    return Result(
        "scan-segments", value, "s", seconds, None,
        "pymilvus query_iterator, by its first 100,000 rows", baseline,
        {
            "rows": REAL,
            "rows_per_s": round(REAL / value),
            "cpu_seconds": round(min(used), 2),
            "times_as_fast": round(baseline / value, 1),
        },
    )  # fmt: skip


def _iterated(milvus: MilvusServer, columns: list[str], limit: int) -> int:
    client: Any = milvus._client  # what a user of pymilvus has
    iterator = client.query_iterator(NAME, batch_size=10_000, limit=limit, output_fields=columns)
    rows = 0
    while found := iterator.next():
        rows += len(found)
    iterator.close()
    return rows


def _spec(home: Path) -> LoadedSpec:
    file = home / "cluster.yaml"
    document = {
        "version": 1,
        "cluster": {"name": "bench"},
        "connection": {"embedded": str(home / "milvus"), "timeout": "60s"},
        "storage": {"type": "embedded"},
        "state": "state",
        "models": [
            {"provider": "hashing", "name": "words", "version": "1", "dimension": DIMENSION}
        ],
        "collections": [
            {
                "name": NAME,
                "model": MODEL,
                "chunking": {"strategy": "fixed", "size": 200, "overlap": 0, "version": 1},
                "indexes": [{"field": "embedding", "type": "FLAT", "metric": "COSINE"}],
            }
        ],
    }
    file.write_text(yaml.safe_dump(document))
    return load(file)


def _fill(milvus: MilvusServer, loaded: LoadedSpec) -> None:
    """Rows of a seeded generator, and the ledger that an ingestion of them would leave."""
    collection = loaded.spec.collections[0]
    schema = collection_schema(loaded.spec, collection)
    milvus.create_collection(NAME, schema, shards=2)
    info = milvus.describe(NAME)
    generator = np.random.default_rng(1)
    with open_ledger(loaded) as ledger, ledger.run(NAME) as hold:
        ledger.bind(hold, info.id)
        for start in range(0, REAL, BATCH):
            count = min(BATCH, REAL - start)
            rows = _rows(start, count, generator)
            shape = arrow_schema(info.schema, list(rows))
            milvus.columnar.insert(
                NAME,
                info.schema,
                pa.record_batch(
                    [pa.array(rows[n], shape.field(n).type) for n in shape.names], schema=shape
                ),
            )
            ledger.enter(
                hold, "default",
                [
                    LedgerRow(key, "doc", 0, content, MODEL, CHUNKER, 1000)
                    for key, content in zip(rows["id"], rows["content_hash"], strict=True)
                ],
            )  # fmt: skip
    milvus.flush(NAME)
    milvus.create_index(NAME, wanted_index(collection.indexes[0]), wait=True)
    milvus.load(NAME)


def _rows(start: int, count: int, generator: np.random.Generator) -> dict[str, Any]:
    numbers = range(start, start + count)
    vectors = generator.normal(size=(count, DIMENSION)).astype(np.float32)
    return {
        "id": [f"{n * 0x9E3779B97F4A7C15 % 2**128:032x}" for n in numbers],
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIMENSION),
        "tenant_id": ["default"] * count,
        "doc_id": [f"doc-{n // 20}" for n in numbers],
        "chunk_index": [n % 20 for n in numbers],
        "text": ["a passage of some length " * 4] * count,
        "content_hash": [
            f"{n * 0xC2B2AE3D27D4EB4F165667B19E3779F9 % 2**256:064x}" for n in numbers
        ],
        "embedding_model": [MODEL] * count,
        "chunker": [CHUNKER] * count,
        "last_embedded_at": [1000] * count,
    }
