"""Recall of what a server of 2.3 can't hold, on milvus-lite, which speaks the API of 2.6."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kitestring.model.arrow import arrow_schema
from kitestring.model.collection import Field, Index, Schema
from kitestring.recall.probe import KeySample, Probe, RecallProbe, probe_for

SCHEMA = Schema((Field("id", "INT64", primary=True), Field("v", "SPARSE_FLOAT_VECTOR")))
INDEX = Index("v", "v", "SPARSE_INVERTED_INDEX", "IP")


def test_sparse_answers_are_held_against_exact_search(tmp_path: Path) -> None:
    lite = pytest.importorskip("milvus_lite.server_manager")
    from kitestring.clients.milvus.client import MilvusServer

    draw = np.random.default_rng(6)
    rows = [
        {"id": n, "v": {int(i): float(draw.random()) for i in draw.integers(0, 500, 20)}}
        for n in range(400)
    ]
    manager = lite.ServerManager()
    uri = manager.start_and_get_uri(str(tmp_path / "lite.db"))
    assert uri
    try:
        with MilvusServer(uri, timeout=60) as server:
            server.create_collection("docs", SCHEMA)
            server.insert("docs", rows)
            server.create_index("docs", INDEX)
            server.load("docs")
            how = probe_for(SCHEMA, [INDEX], None, None, 10)
            assert isinstance(how, Probe)
            names = arrow_schema(SCHEMA).names
            sample = KeySample(20, "seed", "id", how.field)
            for batch in server.scan("docs", names):
                sample.add(batch)
            queries = sample.queries()
            assert queries is not None
            asked = RecallProbe(server, "docs", how, queries)
            server.delete("docs", [key for found in asked.answers[:5] for key in found[:5]])
            for batch in server.scan("docs", names):
                asked.add(batch, "id")
            recall = asked.result("seed")
            again = RecallProbe(server, "docs", how, queries)
            for batch in server.scan("docs", names):
                again.add(batch, "id")
            assert again.result("seed").mean == 1.0
            assert recall.queries == 20
            assert recall.mean < 1.0  # answers that are no rows are no right answers
    finally:
        manager.release_all()
