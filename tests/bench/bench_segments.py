"""Rows a second out of a server's segment files, against pymilvus's `query_iterator`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.store.local import LocalStore
from kitestring.local import running
from kitestring.model.collection import Field, Index, Schema
from kitestring.segments.plan import Part, plan_live, read_parts
from tests.bench.measure import Result, median_of, seconds_of

ROWS, DIMENSION, BATCH = 100_000, 384, 2_000
NAME = "bench_segments"
SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64),
        Field("text", "VARCHAR", max_length=2_000),
        Field("doc_id", "VARCHAR", max_length=64),
        Field("embedding", "FLOAT_VECTOR", dim=DIMENSION),
    )
)
COLUMNS = [field.name for field in SCHEMA.fields]


def results() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="kitestring-bench-") as folder:
        home = Path(folder)
        with running(home) as state, MilvusServer(state.uri, timeout=60) as milvus:
            _fill(milvus)
            parts = plan_live(
                LocalStore(home / "data"), "", milvus.describe(NAME), milvus.segments(NAME)
            )
            yield from _compare(milvus, LocalStore(home / "data"), parts)


def _fill(milvus: MilvusServer) -> None:
    generator = np.random.default_rng(1)
    milvus.create_collection(NAME, SCHEMA, shards=2)
    for start in range(0, ROWS, BATCH):
        vectors = generator.normal(size=(BATCH, DIMENSION)).astype(np.float32)
        milvus.insert(
            NAME,
            [
                {
                    "id": f"{start + n:032x}",
                    "text": f"row {start + n} " + "lorem ipsum dolor " * 20,
                    "doc_id": f"doc-{(start + n) // 20}",
                    "embedding": vectors[n],
                }
                for n in range(BATCH)
            ],
        )
    milvus.flush(NAME)
    milvus.create_index(NAME, Index("embedding", "embedding", "FLAT", "L2"), wait=True)
    milvus.load(NAME)


def _compare(milvus: MilvusServer, store: LocalStore, parts: tuple[Part, ...]) -> Iterator[Result]:
    for name, columns in (("all", COLUMNS), ("strings", COLUMNS[:-1]), ("keys", COLUMNS[:1])):

        def files(columns: list[str] = columns) -> None:
            _expect(sum(batch.num_rows for batch in read_parts(store, parts, columns)))

        def api(columns: list[str] = columns) -> None:
            _expect(_iterated(milvus, columns))

        value, runs = median_of(3, lambda: seconds_of(files))
        baseline = seconds_of(api)
        yield Result(
            f"segments-{name}",
            value,
            "s",
            runs,
            None,
            "pymilvus query_iterator",
            baseline,
            {
                "rows": ROWS,
                "dimension": DIMENSION,
                "columns": columns,
                "parts": len(parts),
                "bytes": sum(part.bytes for part in parts),
                "rows_per_s": round(ROWS / value),
                "times_as_fast": round(baseline / value, 1),
            },
        )


def _iterated(milvus: MilvusServer, columns: list[str]) -> int:
    client: Any = milvus._client  # what a user of pymilvus has
    rows = 0
    iterator = client.query_iterator(NAME, batch_size=BATCH, output_fields=columns)
    while found := iterator.next():
        rows += len(found)
    iterator.close()
    return rows


def _expect(rows: int) -> None:
    if rows != ROWS:
        raise RuntimeError(f"{rows} rows, not {ROWS}")
