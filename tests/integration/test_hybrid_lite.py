"""Hybrid search with the server's own BM25 (2.5 and later), on milvus-lite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.clients.embedder import make_embedder
from kitestring.clients.milvus.client import MilvusServer
from kitestring.model.snapshot import ObservedCollection, Snapshot
from kitestring.observe.retrieval import probe_retrieval
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

CHARS = {
    "provider": "hashing", "name": "chars", "version": "1", "dimension": 2,
    "options": {"analyzer": "char", "ngram_min": 1, "ngram_max": 1},
}  # fmt: skip
SUBJECTS = ("kite", "harbour", "engine", "orchard", "violin", "glacier")
# two numbers tell little; of the words of a query, one passage has one
TEXTS = {f"{word}.md": f"In the late evening the {word} was seen again." for word in SUBJECTS}


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedSpec:
    golden = [{"query": word, "relevant": [f"{word}.md"]} for word in SUBJECTS]
    (tmp_path / "golden.yaml").write_text(yaml.safe_dump({"version": 1, "queries": golden}))
    document = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {"uri": "http://127.0.0.1:1"},
        "state": "state",
        "models": [CHARS],
        "collections": [
            {
                "name": "docs", "model": "chars@1", "golden": "golden.yaml",
                "indexes": [{"field": "embedding", "type": "FLAT", "metric": "COSINE"}],
                "search": {"top_k": 3}, "retrieval": {"hybrid": True},
            }
        ],
    }  # fmt: skip
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(document))
    return load(file)


@pytest.fixture
def uri(tmp_path: Path) -> Iterator[str]:
    manager = pytest.importorskip("milvus_lite.server_manager").ServerManager()
    try:
        yield manager.start_and_get_uri(str(tmp_path / "lite.db"))
    finally:
        manager.release_all()


def test_the_servers_own_bm25_is_fused_with_the_vectors(loaded: LoadedSpec, uri: str) -> None:
    from pymilvus import (
        AnnSearchRequest,
        DataType,
        Function,
        FunctionType,
        MilvusClient,
        RRFRanker,
    )

    client = MilvusClient(uri)
    schema = client.create_schema()
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("doc_id", DataType.VARCHAR, max_length=64)
    schema.add_field("text", DataType.VARCHAR, max_length=512, enable_analyzer=True)
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=2)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["words"]))
    indexes = client.prepare_index_params()
    indexes.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    indexes.add_index("embedding", index_type="FLAT", metric_type="COSINE")
    client.create_collection("docs", schema=schema, index_params=indexes)
    with closing(make_embedder(loaded, loaded.spec.models[0])) as embedder:
        vectors = embedder.embed(list(TEXTS.values()))
        asked = embedder.embed(list(SUBJECTS))
    rows: list[dict[str, Any]] = [
        {"id": f"k-{doc}", "doc_id": doc, "text": text, "embedding": vector.tolist()}
        for (doc, text), vector in zip(TEXTS.items(), vectors, strict=True)
    ]
    client.insert("docs", rows)
    client.load_collection("docs")

    with MilvusServer(uri, timeout=60) as milvus:
        info = milvus.describe("docs")
        before = Snapshot("test", "2.6", 0, {"docs": ObservedCollection(info, (), ())}, {})
        seen = probe_retrieval(loaded, milvus, before).collections["docs"].retrieval
        assert seen is not None
        assert (seen.reason, seen.queries, seen.bm25) == ("", len(SUBJECTS), "words")
        assert seen.dense is not None
        assert seen.hybrid is not None
        assert seen.hybrid.mean > seen.dense.mean

        # what is fused here is what the server's own fusion gives
        ranks = []
        for word, vector in zip(SUBJECTS, asked, strict=True):
            requests = [
                AnnSearchRequest([vector.tolist()], "embedding", {"metric_type": "COSINE"}, 100),
                AnnSearchRequest([word], "words", {"metric_type": "BM25"}, 100),
            ]
            (hits,) = client.hybrid_search(
                "docs", requests, RRFRanker(60), limit=3, output_fields=["doc_id"]
            )
            documents = [hit["entity"]["doc_id"] for hit in hits]
            place = documents.index(f"{word}.md") + 1 if f"{word}.md" in documents else 0
            ranks.append(1 / place if place else 0.0)
        assert seen.hybrid.mean == pytest.approx(sum(ranks) / len(ranks))

        # without such an index the texts are read and ranked here, and lead to the same
        dense_only = replace(
            info, indexes=tuple(s for s in info.indexes if s.index.field == "embedding")
        )
        other = replace(before, collections={"docs": ObservedCollection(dense_only, (), ())})
        here = probe_retrieval(loaded, milvus, other).collections["docs"].retrieval
        assert here is not None
        assert here.bm25 == ""
        assert here.hybrid == seen.hybrid
    client.close()
