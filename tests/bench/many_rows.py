"""A million rows as ingestion leaves them, for a whole drift run: vectors of the spec's model, the
ledger, a sign-off, a backup. The spec asks for everything that drift detection looks at.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from kitestring.backup.methods import make_backup
from kitestring.canary.sign_off import sign_off
from kitestring.clients.embedder import make_embedder
from kitestring.clients.milvus.client import MilvusServer, wait_until
from kitestring.ingest.ledger import open_ledger
from kitestring.ingest.write import content_hash, row_key
from kitestring.local import running
from kitestring.model.arrow import arrow_schema
from kitestring.model.ledger import LedgerRow
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.schema import collection_schema, wanted_index

NAME, MODEL, CHUNKER, TENANT = "docs", "words@1", "fixed/200/0/1", "default"
_BATCH = 10_000  # rows of one request
_OF_DOCUMENT = 20


@contextmanager
def many_rows(home: Path, rows: int, dimension: int) -> Iterator[tuple[LoadedSpec, MilvusServer]]:
    """A server of its own that holds them, loaded and indexed."""
    with running(home / "milvus", timeout=180) as state:
        loaded = _spec(home, dimension)
        with MilvusServer(state.uri, timeout=60) as milvus:
            _fill(milvus, loaded, rows)
            make_backup(loaded, milvus)
            sign_off(loaded, milvus, loaded.spec.collections[0])
            yield loaded, milvus


def _spec(home: Path, dimension: int) -> LoadedSpec:
    file = home / "cluster.yaml"
    document = {
        "version": 1,
        "cluster": {"name": "bench"},
        "connection": {"embedded": str(home / "milvus"), "timeout": "60s"},
        "storage": {"type": "embedded"},
        "state": "state",
        "models": [
            {"provider": "hashing", "name": "words", "version": "1", "dimension": dimension}
        ],
        "collections": [
            {
                "name": NAME,
                "model": MODEL,
                "shards": 2,
                "chunking": {"strategy": "fixed", "size": 200, "overlap": 0, "version": 1},
                "indexes": [
                    {
                        "field": "embedding",
                        "type": "IVF_FLAT",
                        "metric": "COSINE",
                        "params": {"nlist": 128},
                    }
                ],
                "search": {"params": {"nprobe": 64}},
                "canary": {"vectors": "all"},
                "recall": {"queries": "stored", "k": 10, "minimum": 0.8},
                "tenancy": "collection",
                "isolation": {"tenant": TENANT},
            }
        ],
        "metrics": {"node_memory": "64Gi"},
        "backup": {"store": {"type": "local", "path": "backups"}, "method": "physical"},
        "objectives": {"rpo": "24h", "rto": "1h"},
        "suppressions": [
            {"check": "backup.not-drilled", "reason": "nothing is drilled", "until": "2999-12-31"}
        ],
    }
    file.write_text(yaml.safe_dump(document))
    return load(file)


def _fill(milvus: MilvusServer, loaded: LoadedSpec, rows: int) -> None:
    """Passages of random words from a fixed seed, and the ledger that their ingestion leaves."""
    collection = loaded.spec.collections[0]
    schema = collection_schema(loaded.spec, collection)
    milvus.create_collection(NAME, schema, shards=2)
    info = milvus.describe(NAME)
    rng = random.Random(1)  # noqa: S311 - the same rows each time
    words = ["".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(5000)]
    with (
        open_ledger(loaded) as ledger,
        ledger.run(NAME) as hold,
        closing(make_embedder(loaded, loaded.spec.models[0])) as embedder,
    ):
        ledger.bind(hold, info.id)
        for start in range(0, rows, _BATCH):
            numbers = range(start, min(start + _BATCH, rows))
            texts = [" ".join(rng.choices(words, k=20)) for _ in numbers]
            batch = _rows(numbers, texts)
            vectors = pa.array(embedder.embed(texts).reshape(-1))
            batch["embedding"] = pa.FixedSizeListArray.from_arrays(
                vectors, loaded.spec.models[0].dimension
            )
            shape = arrow_schema(info.schema, [f.name for f in schema.fields])
            arrays = [pa.array(batch[name], shape.field(name).type) for name in shape.names]
            milvus.columnar.insert(NAME, info.schema, pa.record_batch(arrays, schema=shape))
            entries = [
                LedgerRow(key, doc, chunk, content, MODEL, CHUNKER, at)
                for key, doc, chunk, content, at in zip(
                    *(
                        batch[name]
                        for name in (
                            "id", "doc_id", "chunk_index", "content_hash", "last_embedded_at"
                        )
                    ),
                    strict=True,
                )
            ]  # fmt: skip
            documents: dict[str, int] = {}
            for entry in entries:
                documents[entry.doc_id] = documents.get(entry.doc_id, 0) + 1
            ledger.announce(
                hold, TENANT, {doc: (content_hash(doc), n) for doc, n in documents.items()}
            )
            ledger.enter(hold, TENANT, entries)
            ledger.complete(hold, TENANT, documents)
    milvus.flush(NAME)
    milvus.create_index(NAME, wanted_index(collection.indexes[0]), wait=True)
    milvus.load(NAME)

    def settled() -> bool:
        """Every segment is indexed and in memory as such: small ones are compacted before."""
        pending = any(state.pending_rows for state in milvus.describe(NAME).indexes)
        return not pending and milvus.count(NAME) == rows

    wait_until(settled, timeout=3600, what="the index")


def _rows(numbers: range, texts: list[str]) -> dict[str, Any]:
    documents = [f"doc-{n // _OF_DOCUMENT}" for n in numbers]
    chunks = [n % _OF_DOCUMENT for n in numbers]
    return {
        "id": [
            row_key(TENANT, doc, chunk, CHUNKER)
            for doc, chunk in zip(documents, chunks, strict=True)
        ],
        "tenant_id": [TENANT] * len(texts),
        "doc_id": documents,
        "chunk_index": chunks,
        "text": texts,
        "content_hash": [content_hash(text) for text in texts],
        "embedding_model": [MODEL] * len(texts),
        "chunker": [CHUNKER] * len(texts),
        "last_embedded_at": [int(time.time() * 1000)] * len(texts),
    }
