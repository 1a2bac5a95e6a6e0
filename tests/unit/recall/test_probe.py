"""How a restored collection is asked, and when recall can't be measured."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kitestring.model.backup import CollectionBackup, RowDigest
from kitestring.model.collection import Field, Index, Schema
from kitestring.recall.probe import (
    KeySample,
    Probe,
    Queries,
    RecallProbe,
    SmallestKeys,
    probe_for,
)

SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64),
        Field("embedding", "FLOAT_VECTOR", dim=4),
        Field("bits", "BINARY_VECTOR", dim=8),
        Field("sparse", "SPARSE_FLOAT_VECTOR"),
    )
)
INDEX = Index("embedding", "embedding", "HNSW", "COSINE", {"M": "16"})
BACKUP = CollectionBackup(
    "docs", 1, SCHEMA, 1, (), "", {}, (INDEX,), (), True, 1, (), RowDigest(0, "0", "0")
)
EMBEDDING = SCHEMA.vectors[0]
ROWS = np.random.default_rng(3).normal(size=(400, 4)).astype(np.float32)
KEYS = [f"k{i:03}" for i in range(400)]


def batch(start: int = 0, stop: int = 400) -> pa.RecordBatch:
    flat = pa.array(ROWS[start:stop].reshape(-1))
    return pa.RecordBatch.from_arrays(
        [pa.array(KEYS[start:stop]), pa.FixedSizeListArray.from_arrays(flat, 4)],
        names=["id", "embedding"],
    )


class Server:
    """Searches exactly; `blind` rows are stored and never found, as with a damaged index."""

    def __init__(self, blind: frozenset[str] = frozenset(), rows: int = 400) -> None:
        self.blind, self.rows, self.asked = blind, rows, []

    def describe(self, _name: str) -> Any:
        return SimpleNamespace(schema=SCHEMA)

    def scan(self, _name: str, columns: list[str], batch_rows: int = 100) -> Any:
        for start in range(0, self.rows, batch_rows):
            yield batch(start, min(start + batch_rows, self.rows)).select(columns)

    def search(self, _name: str, vectors: Any, *, limit: int, field: str, params: Any) -> Any:
        self.asked.append((limit, field, dict(params)))
        unit = ROWS[: self.rows] / np.linalg.norm(ROWS[: self.rows], axis=1, keepdims=True)
        answers = []
        for vector in np.asarray(vectors):
            scores = unit @ (vector / np.linalg.norm(vector))
            order = [i for i in np.argsort(-scores) if KEYS[i] not in self.blind][:limit]
            answers.append([SimpleNamespace(key=KEYS[i], score=float(scores[i])) for i in order])
        return answers


def probe(k: int = 10) -> Probe:
    found = probe_for(BACKUP.schema, BACKUP.indexes, None, {"ef": 5}, k)
    assert isinstance(found, Probe)
    return found


def recall_of(server: Server, queries: Queries) -> float:
    asked = RecallProbe(server, "docs", probe(), queries)
    for part in server.scan("docs", ["id", "embedding"]):
        asked.add(part, "id")
    return asked.result("seed").mean


@pytest.mark.parametrize(
    ("backup", "field", "reason"),
    [
        (replace(BACKUP, schema=replace(SCHEMA, fields=SCHEMA.fields[:1])), None, "no vector"),
        (BACKUP, "bits", "no index on `bits`"),
        (BACKUP, "sparse", "no index on `sparse`"),
        (BACKUP, "id", "no vector field"),
        (replace(BACKUP, indexes=()), None, "no index on `embedding`"),
        (replace(BACKUP, indexes=(replace(INDEX, metric="HAMMING"),)), None, "HAMMING"),
    ],
)
def test_why_recall_cannot_be_measured(
    backup: CollectionBackup, field: str | None, reason: str
) -> None:
    found = probe_for(backup.schema, backup.indexes, field, None, 10)
    assert isinstance(found, str)
    assert reason in found


def test_the_sample_is_the_same_rows_in_whatever_order_they_come() -> None:
    def drawn(parts: list[pa.RecordBatch], seed: str) -> list[Any]:
        sample = KeySample(20, seed, "id", EMBEDDING)
        for part in parts:
            sample.add(part)
        queries = sample.queries()
        assert queries is not None
        for key, vector in zip(queries.own, queries.vectors, strict=True):
            assert np.array_equal(vector, ROWS[KEYS.index(str(key))])
        return list(queries.own)

    whole = drawn([batch()], "a")
    assert whole == drawn([batch(300, 400), batch(0, 300)], "a")
    assert len(set(whole)) == 20
    assert whole != drawn([batch()], "b")
    assert KeySample(5, "a", "id", EMBEDDING).queries() is None


def test_recall_is_full_for_an_index_that_finds_everything() -> None:
    sample = KeySample(30, "s", "id", EMBEDDING)
    sample.add(batch())
    queries = sample.queries()
    assert queries is not None
    assert recall_of(Server(), queries) == 1.0


def test_rows_that_the_index_does_not_find_cost_recall() -> None:
    queries = Queries(ROWS[:30] * 1.1, (None,) * 30, "30 queries")
    blind = frozenset(KEYS[::2])
    assert 0.35 < recall_of(Server(blind), queries) < 0.65


def test_the_search_asks_for_one_more_where_the_own_row_is_left_out() -> None:
    server = Server()
    queries = Queries(ROWS[:2], ("k000", "k001"), "2 stored vectors")
    asked = RecallProbe(server, "docs", probe(), queries)
    assert server.asked == [(11, "embedding", {"ef": 11})]
    assert [len(a) for a in asked.answers] == [10, 10]
    assert "k000" not in asked.answers[0]


@pytest.mark.parametrize("metric", ["HAMMING", "JACCARD"])
def test_binary_vectors_are_asked_as_bytes_and_scored_by_their_bits(metric: str) -> None:
    bits = np.random.default_rng(5).integers(0, 2, size=(60, 16)).astype(np.uint8)
    keys = list(range(60))
    packed = np.packbits(bits, axis=1)
    rows = pa.RecordBatch.from_arrays(
        [pa.array(keys), pa.array([row.tobytes() for row in packed], pa.binary(2))],
        names=["id", "bits"],
    )
    schema = Schema((Field("id", "INT64", primary=True), Field("bits", "BINARY_VECTOR", dim=16)))
    index = Index("bits", "bits", "BIN_FLAT", metric)
    how = probe_for(schema, (index,), None, None, 5)
    assert isinstance(how, Probe)

    class Binary:
        """Ranks as a server does: by counting bits of bytes."""

        def search(self, _name: str, vectors: Any, *, limit: int, field: str, params: Any) -> Any:
            answers = []
            for vector in vectors:
                asked = int.from_bytes(vector, "big")
                far = {}
                for key, row in zip(keys, packed, strict=True):
                    stored = int.from_bytes(row.tobytes(), "big")
                    far[key] = (asked ^ stored).bit_count()
                    if metric == "JACCARD":
                        either = (asked | stored).bit_count()
                        far[key] = 1 - (asked & stored).bit_count() / either if either else 0
                best = sorted(keys, key=lambda key: far[key])[:limit]
                answers.append([SimpleNamespace(key=key, score=far[key]) for key in best])
            return answers

    sample = KeySample(10, "s", "id", schema.vectors[0])
    sample.add(rows)
    queries = sample.queries()
    assert queries is not None
    asked = RecallProbe(Binary(), "docs", how, queries)  # type: ignore[arg-type]
    asked.add(rows, "id")
    assert asked.result("seed").mean == 1.0
    worse = RecallProbe(Binary(), "docs", how, queries)  # type: ignore[arg-type]
    worse.answers = [list(reversed(keys))[:5] for _ in queries.own]
    worse.add(rows, "id")
    assert worse.result("seed").mean < 0.5


def test_the_smallest_keys_are_the_same_in_any_order_and_batches():
    keys = [f"k{n}" for n in range(500)]
    found = []
    for order, size in ((keys, 500), (keys[::-1], 7), (keys[250:] + keys[:250], 60)):
        smallest = SmallestKeys(20, "seed")
        for start in range(0, len(order), size):
            smallest.add(pa.array(order[start : start + size]))
        found.append(smallest.keys)
    assert found[0] == found[1] == found[2]
    assert len(set(found[0])) == 20
    few = SmallestKeys(20, "seed")
    few.add(pa.array([3, 1, 2]))
    assert sorted(few.keys) == [1, 2, 3]
    assert SmallestKeys(20, "seed").keys == []
