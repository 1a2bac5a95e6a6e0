"""The same vectors, whatever embeds them; the cache is one, and limits hold for all together."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from kitestring.clients.embedder import make_embedder
from kitestring.clients.embedder.base import Vectors
from kitestring.clients.embedder.cache import CachedEmbedder, fingerprint
from kitestring.clients.embedder.cache_sqlite import SqliteVectors
from kitestring.clients.embedder.http import HttpEmbedder
from kitestring.embedding.spread import Spread
from kitestring.errors import EmbedderFailed
from kitestring.parallel import Workers
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import HttpModel, SentenceTransformersModel, Spec

WORDS = {"provider": "hashing", "name": "words", "version": "1", "dimension": 24}
REMOTE = {
    "provider": "openai", "name": "remote", "version": "1", "dimension": 2,
    "options": {
        "base_url": {"env": "TEST_EMBEDDING_URL"}, "model": "m", "batch_size": 4,
        "requests_per_second": 0.001,
    },
}  # fmt: skip
ABSENT = {
    "provider": "sentence-transformers", "name": "gone", "version": "1", "dimension": 24,
    "options": {"path": "/nowhere/at/all"},
}  # fmt: skip
TEXTS = [f"The kite of number {n} has {n * 7} strings." for n in range(300)]


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedSpec:
    spec = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {"uri": "http://127.0.0.1:1"},
        "state": "state",
        "models": [WORDS, REMOTE],
    }
    return LoadedSpec(Spec.model_validate(spec), tmp_path / "cluster.yaml")


class Counting:
    """The hashing model, and what it was asked for."""

    label, dimension = "words@1", 24

    def __init__(self, loaded: LoadedSpec) -> None:
        self.asked: list[str] = []
        self._model = make_embedder(loaded, loaded.spec.models[0])

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return self._model.embed(texts)

    def embed_query(self, text: str) -> Vectors:
        return self._model.embed_query(text)

    def close(self) -> None:
        self._model.close()


def test_processes_give_the_vectors_of_this_one(loaded: LoadedSpec, tmp_path: Path) -> None:
    model = loaded.spec.models[0]
    here = Counting(loaded)
    expected = Spread(loaded, model, here).embed(TEXTS)
    assert here.asked == TEXTS
    parts = [TEXTS[:7], [], TEXTS[7:9], TEXTS[9:]]
    cache = SqliteVectors(tmp_path / "cache.sqlite", 1 << 20)
    cached = CachedEmbedder(Counting(loaded), cache, fingerprint(model))
    cached.embed(TEXTS[5:20])
    with Workers("pool") as workers:
        spread = Spread(loaded, model, here, workers)
        assert np.array_equal(spread.embed(TEXTS), expected)
        assert here.asked == TEXTS  # of the model in this process nothing more was asked
        found = list(spread.run(parts, len(TEXTS)))
        assert list(map(len, found)) == [7, 0, 2, 291]
        assert np.array_equal(np.concatenate(found), expected)

        behind = Spread(loaded, model, cached, workers)
        assert np.array_equal(behind.embed(TEXTS), expected)
        assert (cached.hits, cached.misses) == (15, 15 + 285)
        assert np.array_equal(behind.embed(TEXTS[::-1]), expected[::-1])
        assert (cached.hits, cached.misses) == (315, 300)

        # the process makes the model itself, and this one can't be made
        absent = SentenceTransformersModel.model_validate(ABSENT)
        with pytest.raises(EmbedderFailed, match="gone@1") as raised:
            Spread(loaded, absent, here, workers).embed(TEXTS)
        assert raised.value.hint
    cached.close()
    assert Spread(loaded, model, here).embed([]).shape == (0, 24)


def test_little_work_starts_no_process(loaded: LoadedSpec) -> None:
    here = Counting(loaded)
    with Workers() as workers:
        Spread(loaded, loaded.spec.models[0], here, workers).embed(TEXTS)
    assert here.asked == TEXTS


def test_an_endpoint_is_asked_by_threads_within_its_limit(loaded: LoadedSpec) -> None:
    model = loaded.spec.models[1]
    assert isinstance(model, HttpModel)
    together = threading.Barrier(2, timeout=20)
    pauses: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        together.wait()  # only two requests at a time get on
        texts = json.loads(request.content)["input"]
        data: list[dict[str, Any]] = [
            {"index": i, "embedding": [1.0, float(len(text))]} for i, text in enumerate(texts)
        ]
        return httpx.Response(200, json={"data": data})

    embedder = HttpEmbedder(
        model, "http://model.test/v1", transport=httpx.MockTransport(answer), sleep=pauses.append
    )
    parts = [TEXTS[4 * n : 4 * n + 4] for n in range(8)]
    with Workers("pool") as workers:
        workers.of(1).workers = 2  # type: ignore[misc]
        spread = Spread(loaded, model, embedder, workers)
        found = np.concatenate(list(spread.run(parts, 32)))
    assert np.allclose(found[:, 1] / found[:, 0], [len(text) for text in TEXTS[:32]])
    assert len(pauses) == 7  # each but the first waits for its turn
