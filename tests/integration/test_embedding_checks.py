"""Vectors of another model under the right label, on a real server: they are found and named."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import stamina

from kitestring.canary.sample import choose
from kitestring.canary.store import sign_off_file
from kitestring.clients.embedder.hashing import HashingEmbedder
from kitestring.clients.milvus.waiting import wait_until
from kitestring.drift import detect
from kitestring.enforce.embedding import check_models
from kitestring.ingest.ensure import ensure_collection
from kitestring.spec.models import HashingModel
from tests.integration.report_schema import published
from tests.verbs import kitestring

NO_BACKUP = {"backup": None, "objectives": None}
WORDS = [f"{a}{b}" for a in ("ka", "lo", "mi", "te", "ru") for b in ("ne", "sto", "ver", "dal")]


def hashing(dimension=64, **options):
    return HashingEmbedder(
        HashingModel.model_validate(
            {"provider": "hashing", "name": "other", "version": "9", "dimension": dimension}
            | {"options": options}
        )
    )


OTHER = {"analyzer": "char_wb", "ngram_min": 3, "ngram_max": 4}


def fill(loaded, milvus, embedder, count):
    """Rows of the contract in the spec's one collection, embedded by `embedder`; returns them."""
    (collection,) = loaded.spec.collections
    ensure_collection(loaded, milvus, collection, create=True)
    rng = np.random.default_rng(4)
    texts = [f"The {' '.join(rng.choice(WORDS, 14))} of {i} came." for i in range(count)]
    rows = [
        {
            "id": f"{i:032x}",
            "embedding": vector.tolist(),
            "tenant_id": f"t{i % 3}",
            "doc_id": f"d{i // 20}",
            "chunk_index": i % 20,
            "text": text,
            "content_hash": f"{i:064x}",
            "embedding_model": collection.model,
            "chunker": collection.chunking.label,
            "last_embedded_at": 1_700_000_000_000 + i * 100_000,
        }
        for i, (text, vector) in enumerate(zip(texts, embedder.embed(texts), strict=True))
    ]
    milvus.upsert(collection.name, rows)
    return rows


def embedded(rows, embedder):
    """The same rows with vectors of another embedder."""
    vectors = embedder.embed([row["text"] for row in rows])
    return [row | {"embedding": v.tolist()} for row, v in zip(rows, vectors, strict=True)]


def found(loaded, **options):
    report = published(detect(loaded, only=("embedding",), **options))
    return {f.check: f for f in report.findings}, report.exit_code


def by_segment(loaded, milvus):
    """Whether the rows of a canary are chosen by segment: all are in the server's files."""
    (docs,) = loaded.spec.collections
    info = milvus.describe(docs.name)
    found = choose(milvus, info, docs.fields, docs.model, 300, "s", loaded=loaded)
    assert len(found.keys) == 300
    assert set(found.segments) in (set(found.keys), set())
    return set(found.segments.values()) != set()


def test_five_percent_of_another_models_vectors(spec_for, milvus, unique, capsys):
    name = unique("c")
    loaded = spec_for({"name": name, "canary": {"vectors": "all"}}, **NO_BACKUP)
    on = ("--spec", loaded.file)
    rows = fill(loaded, milvus, hashing(), 1500)
    milvus.flush(name)
    wait_until(lambda: by_segment(loaded, milvus), timeout=60, what="rows of known segments")

    capsys.readouterr()
    assert kitestring("embedding", "sign-off", *on) == 0
    assert "fails at 6 below" in capsys.readouterr().out
    file = sign_off_file(loaded, name, "hashing-word@1")
    before = file.read_bytes()
    assert kitestring("embedding", "sign-off", *on) == 1
    assert "--renew" in capsys.readouterr().err
    assert kitestring("embedding", "check", *on) == 0

    # 5% of the rows get vectors of the other model, and keep the label
    bad = rows[::20]
    milvus.upsert(name, embedded(bad, hashing(**OTHER)))
    capsys.readouterr()
    assert kitestring("embedding", "check", *on, "-o", "json") == 2
    report = json.loads(capsys.readouterr().out)
    assert [f["check"] for f in report["findings"] if f["severity"] == "fail"] == [
        "embedding.canary"
    ]
    named = report["findings"][0]["message"].partition("for example ")[2].split(", ")
    assert len(named) == 5
    assert set(named) <= {row["id"] for row in bad}
    (seen,) = [c["canary"] for c in report["snapshot"]["collections"] if c["name"] == name]
    assert seen["vectors"]["rows"] == len(rows)
    result = check_models(loaded)
    assert result.verdict.value == "fail"
    assert name in result.lines(result.wrong)[0]

    # as they are now, they are not signed off by mistake
    assert kitestring("embedding", "sign-off", "--renew", *on) == 2
    assert file.read_bytes() == before

    # mended, but for two vectors: one that no search finds, and one that is too long
    zero, long = rows[7], rows[8]
    planted = [zero | {"embedding": [0.0] * 64}, long | {"embedding": [3.0] * 64}]
    milvus.upsert(name, [*bad, *planted])
    findings = detect(loaded, only=("embedding.vectors",)).findings
    assert [(f.check, f.severity) for f in findings] == [
        ("embedding.vectors", "fail"),
        ("embedding.vectors", "warn"),  # the metric is the cosine
    ]
    assert zero["id"] in findings[0].message
    assert long["id"] in findings[1].message


@contextmanager
def endpoint(answer):
    """An embeddings endpoint; `answer(texts)` gives (status, headers, vectors)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, headers, vectors = answer(body["input"])
            data = [{"index": i, "embedding": list(map(float, v))} for i, v in enumerate(vectors)]
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(json.dumps({"data": data}).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def _impatient():
    """Without the pauses between attempts."""
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.mark.usefixtures("_impatient")
def test_an_endpoint_that_fails_or_changes(spec_for, milvus, unique, capsys, monkeypatch):
    right, other = hashing(), hashing(**OTHER)
    behaviour = {"answer": lambda texts: (200, {}, right.embed(texts))}
    model = {
        "provider": "openai", "name": "remote", "version": "1", "dimension": 64,
        "options": {
            "model": "embed", "base_url": {"env": "EMBED_URL"}, "requests_per_second": 10000.0,
        },
    }  # fmt: skip
    name = unique("c")
    loaded = spec_for(
        {"name": name, "model": "remote@1", "canary": {"rows": 50}}, models=[model], **NO_BACKUP
    )
    on = ("--spec", loaded.file)

    with endpoint(lambda texts: behaviour["answer"](texts)) as url:
        monkeypatch.setenv("EMBED_URL", url)
        fill(loaded, milvus, right, 200)
        told, code = found(loaded)  # nothing is signed off: that is no pass
        assert code == 3
        assert "embedding sign-off" in told["embedding.sign-off"].hint
        assert kitestring("embedding", "sign-off", *on) == 0
        assert found(loaded) == ({}, 0)

        busy = {"Retry-After": "3600"}  # longer than anybody waits
        for answer, said in (
            (lambda texts: (429, busy, []), "HTTP 429"),
            (lambda texts: (500, busy, []), "HTTP 500"),
            (lambda texts: (200, {}, right.embed(texts)[:, :32]), "32 dimensions"),
        ):
            behaviour["answer"] = answer
            capsys.readouterr()
            assert kitestring("embedding", "check", *on, "-o", "json") == 3
            findings = json.loads(capsys.readouterr().out)["findings"]
            assert {f["check"] for f in findings} == {
                "embedding.canary",
                "embedding.query-encoder",
            }
            assert all(f["verdict"] == "inconclusive" for f in findings)
            assert said in findings[0]["message"]

        # the vendor puts another model behind the name
        behaviour["answer"] = lambda texts: (200, {}, other.embed(texts))
        told, code = found(loaded)
        assert code == 2
        assert told["embedding.query-encoder"].severity == "fail"
        assert "former one back" in told["embedding.canary"].hint

    result = check_models(loaded)  # nothing listens
    assert result.verdict.value == "inconclusive"
    assert {f.check for f in result.unknown} == {"embedding.canary", "embedding.query-encoder"}


def test_a_collection_that_is_not_the_models(spec_for, milvus, unique, capsys):
    name = unique("c")
    loaded = spec_for({"name": name, "canary": {}}, **NO_BACKUP)
    on = ("--spec", loaded.file)
    fill(loaded, milvus, hashing(**OTHER), 120)
    capsys.readouterr()
    assert kitestring("embedding", "sign-off", *on) == 2
    assert "are not those of `hashing-word@1`" in capsys.readouterr().err
    assert not sign_off_file(loaded, name, "hashing-word@1").exists()
    assert kitestring("embedding", "sign-off", "--accept", *on) == 0
    assert "ACCEPTED" in capsys.readouterr().out
    assert kitestring("embedding", "check", *on) == 0

    milvus.release(name)
    told, code = found(loaded)
    assert code == 3
    assert "not loaded" in told["embedding.canary"].message


def test_wrong_usage(spec_for, unique, capsys):
    loaded = spec_for({"name": unique("c")}, **NO_BACKUP)
    on = ("--spec", loaded.file)
    assert kitestring("embedding", "check", "--rows", "5", *on) == 64
    assert kitestring("embedding", "check", "--rows", "300", *on) == 64
    assert "asks for none" in capsys.readouterr().err
    assert kitestring("embedding", "sign-off", "--collection", "nobody", *on) == 64
    assert kitestring("embedding", "sign-off", "--rows", "3", *on) == 64
    assert kitestring("embedding", "sign-off", *on) == 1  # there is no such collection
    with pytest.raises(StopIteration):
        next(loaded.state_dir.glob("sign-offs/*"))
