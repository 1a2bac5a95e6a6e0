"""A collection on a real Milvus with wrong vectors under right labels, for `tests.bench.canary`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import yaml

from kitestring.canary.measure import measure
from kitestring.canary.sign_off import sign_off
from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.stack_state import StackState
from kitestring.drift import run_drift
from kitestring.enforce.embedding import FAMILY
from kitestring.model.snapshot import ObservedCollection, Snapshot
from kitestring.spec.load import load
from tests.bench.canary import DIM, OTHER, hashing, texts_of

NAME, ROWS, BATCH = "docs", 5000, 1000


class Site:
    """5,000 rows, signed off."""

    def __init__(self, folder: Path, state: StackState) -> None:
        self._milvus = MilvusServer(state.uri, timeout=30)
        file = folder / "cluster.yaml"
        file.write_text(yaml.safe_dump(_spec(state.uri)))
        self._loaded = load(file)
        self._texts = texts_of(ROWS)
        self._right = hashing().embed(self._texts)
        self._wrong = hashing(OTHER).embed(self._texts)

    def __enter__(self) -> Site:
        from kitestring.ingest.ensure import ensure_collection

        (collection,) = self._loaded.spec.collections
        ensure_collection(self._loaded, self._milvus, collection, create=True)
        self._write(np.arange(ROWS), self._right)
        self._planted = np.arange(0)
        sign_off(self._loaded, self._milvus, collection)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._milvus.close()

    def plant(self, rate: float) -> None:
        """A part of the rows gets vectors of the other model; those of before are mended."""
        self._write(self._planted, self._right)
        rng = np.random.default_rng(int(rate * 1000))
        self._planted = rng.permutation(ROWS)[: round(rate * ROWS)]
        self._write(self._planted, self._wrong)

    def check(self, seed: str) -> str:
        """pass, warn or fail, of the canary alone."""
        (collection,) = self._loaded.spec.collections
        info = self._milvus.describe(NAME)
        evidence = measure(self._loaded, self._milvus, collection, info, seed=seed)
        seen = ObservedCollection(info, canary=replace(evidence, content=None))
        snapshot = Snapshot("bench", self._milvus.version(), 0, {NAME: seen})
        report = run_drift(self._loaded, snapshot, only=[f"{FAMILY}.canary"])
        told = [f for f in report.findings if f.check == f"{FAMILY}.canary"]
        return max((str(f.severity) for f in told), default="pass", key=("warn", "fail").index)

    def _write(self, places: np.ndarray, vectors: np.ndarray) -> None:
        for start in range(0, len(places), BATCH):
            self._milvus.upsert(
                NAME, [self._row(int(i), vectors) for i in places[start : start + BATCH]]
            )

    def _row(self, place: int, vectors: np.ndarray) -> dict[str, Any]:
        return {
            "id": f"{place:016x}",
            "embedding": vectors[place].tolist(),
            "tenant_id": f"t{place % 5}",
            "doc_id": f"d{place // 10}",
            "chunk_index": place % 10,
            "text": self._texts[place],
            "content_hash": f"{place:064x}",
            "embedding_model": "h@1",
            "chunker": "fixed/200/0/1",
            "last_embedded_at": 1_700_000_000_000 + place * 100_000,
        }


def _spec(uri: str) -> dict[str, Any]:
    return {
        "version": 1,
        "cluster": {"name": "bench"},
        "connection": {"uri": uri, "timeout": "30s"},
        "state": "state",
        "models": [{"provider": "hashing", "name": "h", "version": "1", "dimension": DIM}],
        "collections": [
            {
                "name": NAME,
                "model": "h@1",
                "chunking": {"strategy": "fixed", "size": 200, "overlap": 0, "version": 1},
                "indexes": [
                    {"field": "embedding", "type": "HNSW", "metric": "COSINE",
                     "params": {"M": 16, "efConstruction": 100}}
                ],
                "canary": {},
            }
        ],
    }  # fmt: skip
