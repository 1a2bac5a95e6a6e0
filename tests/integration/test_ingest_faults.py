"""Ingestion when the model, the server, a document or another ingestion gets in its way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import stamina

from kitestring.clients.milvus.client import MilvusServer
from kitestring.drift import detect
from kitestring.errors import DimensionMismatch, EmbedderFailed
from kitestring.ingest.deadletter import letters_file, read_letters
from kitestring.ingest.ledger import open_ledger
from kitestring.ingest.run import ingest
from kitestring.observe import observe
from kitestring.render.ingest import ingest_notes, ingest_text
from kitestring.spec.loaded import LoadedSpec
from tests.integration.embedding_endpoint import Endpoint, endpoint

pytestmark = pytest.mark.server
SpecFor = Callable[..., LoadedSpec]
Unique = Callable[[str], str]
SMALL = {"strategy": "sentence", "size": 64, "overlap": 0, "version": 1}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(6):
        text = " ".join(f"In document {number} this is the sentence {n}." for n in range(30))
        (folder / f"{number}.txt").write_text(text)
    return folder


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with endpoint(64) as served:
        monkeypatch.setenv("MODEL_URL", served.url)
        yield served


def served(**options: Any) -> dict[str, Any]:
    """The spec's model behind the endpoint."""
    asked = {"model": "m", "base_url": {"env": "MODEL_URL"}, "requests_per_second": 1000.0}
    return {
        "provider": "openai",
        "name": "served",
        "version": "1",
        "dimension": 64,
        "options": {**asked, "batch_size": 16, **options},
    }


def stored(milvus: MilvusServer, name: str) -> dict[str, tuple[str, int, str]]:
    columns = ["id", "doc_id", "chunk_index", "content_hash"]
    rows = [row for batch in milvus.scan(name, columns) for row in batch.to_pylist()]
    assert len(rows) == milvus.count(name)
    return {row["id"]: (row["doc_id"], row["chunk_index"], row["content_hash"]) for row in rows}


def in_ledger(loaded: LoadedSpec, name: str) -> dict[str, tuple[str, int, str]]:
    with open_ledger(loaded, create=False) as ledger:
        rows = list(ledger.rows(name))
    return {row.key: (row.doc_id, row.chunk_index, row.content_hash) for row in rows}


def start(loaded: LoadedSpec, name: str, corpus: Path, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kitestring", "ingest", str(corpus), "--collection", name]
    return subprocess.Popen(
        [*command, "--spec", str(loaded.file), "-o", "json", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_ingesters_at_once_leave_the_rows_of_one(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    alone, name = unique("one"), unique("two")
    loaded = spec_for({"name": alone, "chunking": SMALL}, {"name": name, "chunking": SMALL})
    ingest(loaded, milvus, alone, [corpus])
    both = [start(loaded, name, corpus, "--wait", "2m") for _ in range(2)]
    told = [process.communicate(timeout=180) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    reports = [json.loads(stdout) for stdout, _ in told]
    assert sorted(r["documents_written"] for r in reports) == [0, 6]
    assert stored(milvus, name) == stored(milvus, alone) == in_ledger(loaded, name)

    with open_ledger(loaded) as ledger, ledger.run(name):
        refused = start(loaded, name, corpus)
        _, stderr = refused.communicate(timeout=60)
    assert refused.returncode == 1
    assert f"another ingestion into `{name}` runs: process" in stderr


def test_what_the_model_did_not_answer_is_parked_and_tried_again(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path, model: Endpoint
) -> None:
    name = unique("c")
    loaded = spec_for(
        {"name": name, "chunking": SMALL, "model": "served@1"}, models=[served(timeout="300ms")]
    )
    ingest(loaded, milvus, name, [corpus / "0.txt"])
    faults: list[int | str] = [429, 500, "silence"]
    for attempt, fault in enumerate(faults, 1):
        model.fault = lambda _texts, fault=fault: fault  # type: ignore[misc]
        with stamina.set_testing(True, attempts=2):
            report = ingest(loaded, milvus, name, [corpus])
        assert report.exit_code == 1
        assert (report.rows_written, report.rows) == (0, 30)
        assert (report.documents_unchanged, report.documents_parked) == (1, 5)
        letters = read_letters(letters_file(loaded, name))
        assert {(x.document, x.chunk) for x in letters} == {
            (f"{n}.txt", i) for n in range(1, 6) for i in range(30)
        }
        assert {x.attempts for x in letters} == {attempt}
        assert all("does not answer" in x.reason for x in letters)
        assert "5 in part" in ingest_text(report)
        assert any(line.startswith("dead letters: 150 in ") for line in ingest_notes(report))
    model.fault = lambda _texts: None
    whole = ingest(loaded, milvus, name, [corpus])
    assert (whole.exit_code, whole.rows_written, whole.rows) == (0, 150, 180)
    assert not letters_file(loaded, name).exists()
    assert stored(milvus, name) == in_ledger(loaded, name)


def test_a_text_that_the_model_does_not_take_is_parked_alone(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path, model: Endpoint
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL, "model": "served@1"}, models=[served()])
    model.fault = lambda texts: (
        400 if any("3 this is the sentence 7." in t for t in texts) else None
    )
    report = ingest(loaded, milvus, name, [corpus])
    assert [(x.document, x.chunk) for x in report.parked] == [("3.txt", 7)]
    assert "HTTP 400" in report.parked[0].reason
    assert (report.rows_written, report.documents_written) == (6 * 30 - 1, 5)
    assert (report.documents_parked, report.documents_unchanged) == (1, 0)
    told = {f.check: f.message for f in detect(loaded, only=["rows"]).findings}
    assert "1 document begun" in told["rows.unfinished"]
    assert "3.txt" in told["rows.unfinished"]
    (corpus / "3.txt").unlink()  # with its document, the letter goes too
    assert ingest(loaded, milvus, name, [corpus]).exit_code == 0
    assert not letters_file(loaded, name).exists()
    assert detect(loaded, only=["rows"]).exit_code == 0
    assert {doc for doc, _, _ in stored(milvus, name).values()} == {
        f"{n}.txt" for n in (0, 1, 2, 4, 5)
    }


def test_a_model_of_another_dimension_or_without_a_key_stops_before_anything_is_written(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path, model: Endpoint
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL, "model": "served@1"}, models=[served()])
    for fault, error in (
        ("dimension", DimensionMismatch),
        (401, EmbedderFailed),
        (404, EmbedderFailed),
    ):
        model.fault = lambda _texts, fault=fault: fault  # type: ignore[misc]
        with pytest.raises(error):
            ingest(loaded, milvus, name, [corpus])
        assert not milvus.has_collection(name)
    model.fault = lambda _texts: None
    ingest(loaded, milvus, name, [corpus / "0.txt"])
    model.fault = lambda _texts: "dimension"
    with pytest.raises(DimensionMismatch):
        ingest(loaded, milvus, name, [corpus])
    assert milvus.count(name) == 30
    assert not letters_file(loaded, name).exists()


def test_rows_that_milvus_refuses_stop_no_other(
    spec_for: SpecFor,
    milvus: MilvusServer,
    unique: Unique,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kitestring.ingest.plan import Planner

    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL, "text_max_length": 64})
    (corpus / "3.txt").write_text("It is short. " + "é" * 60 + ". And so is this.")  # 120 bytes
    (corpus / "unreadable.pdf").write_bytes(b"%PDF-1.7 broken")
    # what ingestion itself sees beforehand, so that the server has to
    monkeypatch.setattr(Planner, "_require_room", lambda *_: None)
    report = ingest(loaded, milvus, name, [corpus])
    assert report.exit_code == 1
    assert [(x.document, x.chunk) for x in report.parked] == [("3.txt", 1)]
    assert "length" in report.parked[0].reason
    assert [f.doc_id for f in report.failed] == ["unreadable.pdf"]
    assert report.rows_written == report.rows == 5 * 30 + 2
    letters = read_letters(letters_file(loaded, name))
    assert [(x.document, x.chunk) for x in letters] == [("3.txt", 1), ("unreadable.pdf", None)]
    assert observe(loaded, milvus, wanted=()).dead_letters == {name: 2}
    (corpus / "3.txt").write_text("It is short. And so is this.")
    (corpus / "unreadable.pdf").unlink()
    mended = ingest(loaded, milvus, name, [corpus])
    assert (mended.exit_code, mended.dead_letters) == (0, 0)
    assert stored(milvus, name) == in_ledger(loaded, name)


def test_a_lost_collection_is_filled_again_from_the_embedding_cache(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path, model: Endpoint
) -> None:
    name = unique("c")
    verify, cache = {"spot_checks": 0}, {"type": "sqlite", "max_size": "10Mi"}
    loaded = spec_for(
        {"name": name, "chunking": SMALL, "model": "served@1"},
        models=[served()],
        ingest={"cache": cache, "verify": verify},
    )
    first = ingest(loaded, milvus, name, [corpus])
    assert first.cache is not None
    assert (first.cache.hits, first.cache.misses) == (0, 180)
    before = stored(milvus, name)
    milvus.drop_collection(name)
    model.requests.clear()
    again = ingest(loaded, milvus, name, [corpus])
    assert again.cache is not None
    assert (again.cache.hits, again.cache.misses) == (180, 0)
    assert model.requests == [["dimension"]]  # a collection is not made for another dimension
    assert "180 of 180 texts were in it" in ingest_text(again)
    assert stored(milvus, name) == before


class Lossy:
    """A server that acknowledges rows and keeps something else."""

    def __init__(self, milvus: MilvusServer, spoil: Callable[[dict[str, Any]], Any]) -> None:
        self._milvus, self._spoil = milvus, spoil

    def __getattr__(self, name: str) -> Any:
        return getattr(self._milvus, name)

    def upsert(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        kept = [self._spoil(dict(row)) for row in rows]
        self._milvus.upsert(name, [row for row in kept if row is not None])


def test_what_the_server_did_not_keep_is_found_by_reading_back(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL})

    def spoil(row: dict[str, Any]) -> dict[str, Any] | None:
        if row["doc_id"] == "1.txt" and row["chunk_index"] == 4:
            return None
        if row["doc_id"] == "2.txt" and row["chunk_index"] == 5:
            row["content_hash"] = "0" * 64
        return row

    report = ingest(loaded, Lossy(milvus, spoil), name, [corpus])  # type: ignore[arg-type]
    assert report.exit_code == 2
    assert report.read_back is not None
    assert (report.read_back.rows, report.read_back.wrong) == (6 * 30, 2)
    assert set(report.read_back.examples) == {"1.txt#4", "2.txt#5"}
    mended = ingest(loaded, milvus, name, [corpus])
    assert mended.exit_code == 0
    assert mended.rows_written == 2
    assert mended.read_back is not None
    assert mended.read_back.wrong == 0
    assert stored(milvus, name) == in_ledger(loaded, name)


def test_vectors_that_are_not_the_texts_are_found_by_spot_checks(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL}, ingest={"verify": {"spot_checks": 1000}})
    clean = ingest(loaded, milvus, name, [corpus / f"{n}.txt" for n in range(3)])
    assert clean.exit_code == 0
    assert clean.spot_checks is not None
    assert (clean.spot_checks.passages, clean.spot_checks.failed) == (90, 0)

    def turn(row: dict[str, Any]) -> dict[str, Any]:
        if row["chunk_index"] == 4:
            row["embedding"] = list(reversed(list(row["embedding"])))
        return row

    report = ingest(loaded, Lossy(milvus, turn), name, [corpus])  # type: ignore[arg-type]
    assert report.exit_code == 2
    assert report.spot_checks is not None
    assert (report.spot_checks.passages, report.spot_checks.failed) == (90, 3)
    assert "cosine" in report.spot_checks.examples[0]
