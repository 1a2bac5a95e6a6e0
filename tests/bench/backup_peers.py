"""What backups and restores are measured against: pymilvus on its own, in a process of its own.

    python -m tests.bench.backup_peers read URI COLLECTION ROWS
    python -m tests.bench.backup_peers write URI COLLECTION ROWS BATCH…

Each prints one JSON object: rows and seconds of the work alone, without imports and connecting.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

DIM = 384


def read(client: MilvusClient, name: str, rows: int) -> dict[str, Any]:
    """`query_iterator` over every field, in its largest batches of rows of this size."""
    begun, found = time.perf_counter(), 0
    iterator = client.query_iterator(
        name, batch_size=8192, output_fields=["id", "embedding", "doc_id"]
    )
    while found < rows and (batch := iterator.next()):
        found += len(batch)
    seconds = time.perf_counter() - begun
    iterator.close()
    return {"rows": found, "seconds": seconds}


def write(client: MilvusClient, name: str, rows: int, batches: list[int]) -> dict[str, Any]:
    """Inserts in batches of each size, and a flush; the fastest size counts."""
    best: dict[str, Any] = {}
    for size in batches:
        target = f"{name}_inserted"
        if client.has_collection(target):
            client.drop_collection(target)
        schema = client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=DIM)
        schema.add_field("doc_id", DataType.VARCHAR, max_length=64)
        client.create_collection(target, schema=schema)
        vectors = np.random.default_rng(1).standard_normal((rows, DIM), dtype=np.float32)
        data = [
            {"id": n, "embedding": vectors[n], "doc_id": f"document {n // 10:011d}"}
            for n in range(rows)
        ]
        begun = time.perf_counter()
        for start in range(0, rows, size):
            client.insert(target, data[start : start + size])
        client.flush(target)
        seconds = time.perf_counter() - begun
        if not best or seconds < best["seconds"]:
            best = {"rows": rows, "seconds": seconds, "batch": size}
        client.drop_collection(target)
    return best


def main() -> None:
    what, uri, name, rows, *sizes = sys.argv[1:]
    client = MilvusClient(uri=uri, timeout=600)
    if what == "read":
        found = read(client, name, int(rows))
    else:
        found = write(client, name, int(rows), [int(size) for size in sizes])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
