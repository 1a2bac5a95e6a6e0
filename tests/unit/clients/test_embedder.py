from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import stamina

from kitestring.clients.embedder import make_embedder
from kitestring.clients.embedder.hashing import HashingEmbedder
from kitestring.clients.embedder.http import HttpEmbedder
from kitestring.errors import DimensionMismatch, EmbedderFailed, SecretMissing
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import HashingModel, HttpModel, SentenceTransformersModel, Spec

Handler = Callable[[httpx.Request], httpx.Response]


def hashing(**options: Any) -> HashingEmbedder:
    return HashingEmbedder(
        HashingModel.model_validate(
            {"provider": "hashing", "name": "h", "version": "1", "dimension": 64}
            | {"options": options}
        )
    )


def http_model(**options: Any) -> HttpModel:
    base = {"model": "embed-small", "base_url": {"env": "EMBED_URL"}}
    return HttpModel.model_validate(
        {"provider": "openai", "name": "remote", "version": "2", "dimension": 3}
        | {"options": base | {"requests_per_second": 1e6} | options}
    )


def endpoint(handler: Handler, *, key: str = "s3cret", **options: Any) -> HttpEmbedder:
    return HttpEmbedder(
        http_model(**options),
        "https://models.test/v1/",
        key,
        transport=httpx.MockTransport(handler),
    )


def answer(request: httpx.Request, dimension: int = 3) -> httpx.Response:
    """One vector for each text, its first number the text's length; in reverse order."""
    texts = json.loads(request.content)["input"]
    data = [
        {"index": i, "embedding": [float(len(text)), *[1.0] * (dimension - 1)]}
        for i, text in enumerate(texts)
    ]
    return httpx.Response(200, json={"data": data[::-1]})


@pytest.fixture
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


def test_hashing_gives_unit_vectors_that_do_not_depend_on_the_company() -> None:
    embedder = hashing()
    texts = ["a kite on a string", "milvus migrans", "a kite on a string"]
    vectors = embedder.embed(texts)
    assert vectors.shape == (3, 64)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.array_equal(vectors[0], vectors[2])
    assert np.array_equal(embedder.embed_query(texts[1]), vectors[1])
    assert embedder.label == "h@1"
    assert embedder.embed([]).shape == (0, 64)


def test_another_set_of_parameters_is_another_model() -> None:
    words, chars = hashing(), hashing(analyzer="char_wb", ngram_min=3, ngram_max=4)
    assert not np.allclose(words.embed_query("kitestring"), chars.embed_query("kitestring"))


def test_a_text_without_words_gets_a_unit_vector_of_its_own() -> None:
    vectors = hashing().embed(["---", "***", "---", "the of and"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.array_equal(vectors[0], vectors[2])
    assert not np.array_equal(vectors[0], vectors[1])


def test_http_sends_batches_and_orders_the_answer_by_index() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(request)

    vectors = endpoint(handler, batch_size=2).embed(["a", "bbb", "cc"])
    assert [json.loads(r.content)["input"] for r in seen] == [["a", "bbb"], ["cc"]]
    assert json.loads(seen[0].content)["model"] == "embed-small"
    assert str(seen[0].url) == "https://models.test/v1/embeddings"
    assert seen[0].headers["authorization"] == "Bearer s3cret"
    wanted = [[n / math.sqrt(n * n + 2), 1 / math.sqrt(n * n + 2)] for n in (1, 3, 2)]
    assert np.allclose(vectors[:, :2], wanted)


def test_http_keeps_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)  # as if requests took no time
    embedder = HttpEmbedder(
        http_model(requests_per_second=4, batch_size=1),
        "https://models.test/v1",
        transport=httpx.MockTransport(answer),
        sleep=pauses.append,
    )
    embedder.embed(["a", "b", "c"])
    assert [round(pause, 1) for pause in pauses] == [0.2, 0.5]


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("status", [429, 500, 503])
def test_http_tries_again_when_the_failure_may_pass(status: int) -> None:
    replies = [httpx.Response(status, headers={"retry-after": "0"}), httpx.ReadTimeout("slow")]

    def handler(request: httpx.Request) -> httpx.Response:
        if not replies:
            return answer(request)
        reply = replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    assert endpoint(handler).embed(["a"]).shape == (1, 3)


@pytest.mark.usefixtures("_no_waiting")
def test_http_gives_up_and_says_so() -> None:
    embedder = endpoint(lambda _: httpx.Response(503))
    with pytest.raises(EmbedderFailed, match=r"`remote@2` at .* does not answer: HTTP 503"):
        embedder.embed(["a"])


def test_http_does_not_wait_for_an_hour() -> None:
    calls: list[int] = []

    def handler(_: httpx.Request) -> httpx.Response:
        calls.append(1)
        return httpx.Response(429, headers={"retry-after": "3600"})

    with pytest.raises(EmbedderFailed, match="429"):
        endpoint(handler).embed(["a"])
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (httpx.Response(401), "key is refused"),
        (httpx.Response(404, text="no such model"), "404: no such model"),
        (httpx.Response(200, text="<html>"), "not that of an embeddings endpoint"),
        (httpx.Response(200, json={"data": []}), "indexes"),
        (httpx.Response(200, json={"data": [{"index": 0, "embedding": [0, 0, 0]}]}), "zero"),
        (httpx.Response(200, text='{"data":[{"index":0,"embedding":[NaN,1,1]}]}'), "NaN"),
        (httpx.Response(200, json={"data": [{"index": 0, "embedding": ["x"]}]}), "no numbers"),
    ],
)
def test_http_refuses_what_is_no_answer_and_never_shows_the_key(
    reply: httpx.Response, what: str
) -> None:
    with pytest.raises(EmbedderFailed) as failure:
        endpoint(lambda _: reply).embed(["a"])
    assert what in failure.value.message
    assert "s3cret" not in failure.value.message + failure.value.hint


def test_http_with_another_dimension() -> None:
    with pytest.raises(DimensionMismatch, match="5 dimensions; the spec says 3"):
        endpoint(lambda request: answer(request, dimension=5)).embed(["a"])


def test_make_embedder_reads_url_and_key_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = LoadedSpec(
        Spec.model_validate(
            {
                "version": 1,
                "cluster": {"name": "c"},
                "connection": {"uri": "http://localhost:1"},
                "state": "s",
            }
        ),
        tmp_path / "spec.yaml",
    )
    model = http_model(api_key={"env": "EMBED_KEY"})
    monkeypatch.delenv("EMBED_KEY", raising=False)
    monkeypatch.setenv("EMBED_URL", "https://models.test/v1")
    with pytest.raises(SecretMissing, match="EMBED_KEY"):
        make_embedder(loaded, model)
    monkeypatch.setenv("EMBED_KEY", "k")
    embedder = make_embedder(loaded, model)
    assert (embedder.label, embedder.dimension) == ("remote@2", 3)
    embedder.close()
    local = SentenceTransformersModel.model_validate(
        {
            "provider": "sentence-transformers",
            "name": "mini",
            "version": "1",
            "dimension": 384,
            "options": {"path": "nowhere"},
        }
    )
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(EmbedderFailed) as failure:
        make_embedder(loaded, local)
    assert "kitestring[sentence-transformers]" in failure.value.hint
