"""Ingestion and search against a real server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kitestring.clients.embedder.fake import FakeEmbedder
from kitestring.clients.milvus.client import MilvusServer
from kitestring.errors import (
    CollectionNotFound,
    CollectionUnfit,
    DimensionMismatch,
    MixedRows,
    UsageError,
)
from kitestring.ingest.ledger import ledger_file, open_ledger
from kitestring.ingest.run import ingest
from kitestring.ingest.search import search
from kitestring.model.collection import Field, Schema
from kitestring.model.ingest import IngestReport
from kitestring.spec.loaded import LoadedSpec

pytestmark = pytest.mark.server
SpecFor = Callable[..., LoadedSpec]
Unique = Callable[[str], str]
SMALL = {"strategy": "sentence", "size": 64, "overlap": 0, "version": 1}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "kites.md").write_text(
        "# Kites\n\nA kite flies. Its string keeps it from drifting.\n"
    )
    (folder / "long.txt").write_text(" ".join(f"Sentence number {n} of it." for n in range(40)))
    (folder / "page.html").write_text("<p>Milvus is the genus of the kites.</p>")
    return folder


def rows_of(milvus: MilvusServer, name: str) -> dict[str, dict[str, Any]]:
    columns = ["id", "doc_id", "chunk_index", "content_hash", "embedding_model", "chunker", "text"]
    found = [row for batch in milvus.scan(name, columns) for row in batch.to_pylist()]
    assert len(found) == milvus.count(name)
    return {row["id"]: row for row in found}


def in_ledger(loaded: LoadedSpec, name: str) -> Mapping[str, Any]:
    with open_ledger(loaded, create=False) as ledger:
        return {row.key: row for row in ledger.rows(name)}


def assert_agree(loaded: LoadedSpec, milvus: MilvusServer, name: str) -> None:
    stored, known = rows_of(milvus, name), in_ledger(loaded, name)
    assert {k: (r["doc_id"], r["content_hash"]) for k, r in stored.items()} == {
        k: (r.doc_id, r.content_hash) for k, r in known.items()
    }


def test_documents_become_rows_and_a_second_run_writes_nothing(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name, alias = unique("c"), unique("a")
    loaded = spec_for({"name": name, "chunking": SMALL, "aliases": [alias]})
    first = ingest(loaded, milvus, alias, [corpus])
    assert first.exit_code == 0
    assert (first.collection, first.documents_written, first.rows_deleted) == (name, 3, 0)
    assert first.rows_written == first.rows == milvus.count(name) > 15
    assert milvus.alias_owner(alias) == name
    info = milvus.describe(name)
    assert info.loaded
    assert [state.index.field for state in info.indexes] == ["embedding"]
    assert_agree(loaded, milvus, name)
    row = next(r for r in rows_of(milvus, name).values() if r["doc_id"] == "page.html")
    assert row["text"] == "Milvus is the genus of the kites."
    assert (row["chunk_index"], row["embedding_model"]) == (0, "hashing-word@1")
    assert row["chunker"] == "sentence/64/0/1"

    before = rows_of(milvus, name)
    embedder = FakeEmbedder("hashing-word@1", 64)
    second = ingest(loaded, milvus, name, [corpus], embedder=embedder)
    assert (second.rows_written, second.rows_deleted, second.documents_unchanged) == (0, 0, 3)
    assert second.made == ()
    assert embedder.texts == []
    assert rows_of(milvus, name) == before


def test_changes_are_followed_and_only_they_are_embedded(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL})
    ingest(loaded, milvus, name, [corpus])
    text = (corpus / "long.txt").read_text()
    (corpus / "long.txt").write_text(text[: len(text) // 2])
    shrunk = ingest(loaded, milvus, name, [corpus])
    assert shrunk.rows_deleted > 5
    assert shrunk.rows_written <= 1  # the chunk where the text now ends
    assert shrunk.documents_removed == 0
    assert_agree(loaded, milvus, name)


def test_a_document_that_disappears_from_a_directory_loses_its_rows(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path, tmp_path: Path
) -> None:
    def documents() -> set[str]:
        assert_agree(loaded, milvus, name)
        return {r["doc_id"] for r in rows_of(milvus, name).values()}

    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL})
    other = tmp_path / "other"
    (other / "sub").mkdir(parents=True)
    (other / "sub/there.txt").write_text("It is elsewhere.")
    (other / "apart.txt").write_text("It is apart.")
    ingest(loaded, milvus, name, [corpus])
    ingest(loaded, milvus, name, [other])
    (corpus / "kites.md").unlink()
    (other / "apart.txt").unlink()
    # a file given by itself says nothing of those beside it, nor a directory of another one
    ingest(loaded, milvus, name, [corpus / "long.txt"])
    ingest(loaded, milvus, name, [other / "sub"])
    assert {"kites.md", "apart.txt"} < documents()
    gone = ingest(loaded, milvus, name, [corpus])
    assert (gone.documents_removed, gone.rows_written) == (1, 0)
    assert documents() == {"long.txt", "page.html", "sub/there.txt", "there.txt", "apart.txt"}
    # a directory that moved is another one: only pruning says that its documents are all there are
    moved = corpus.rename(tmp_path / "moved")
    (moved / "page.html").unlink()
    assert ingest(loaded, milvus, name, [moved]).documents_removed == 0
    assert "page.html" in documents()
    assert ingest(loaded, milvus, name, [moved], prune=True).documents_removed == 4
    assert documents() == {"long.txt"}
    # one that is deleted between the listing of its directory and its turn is no failure
    late = moved / "one.txt"
    late.write_text("It is short-lived.")
    ingest(loaded, milvus, name, [moved])
    raced = ingest(loaded, milvus, name, [moved], progress=lambda _: late.unlink(missing_ok=True))
    assert (raced.exit_code, raced.documents, raced.documents_removed) == (0, 1, 1)
    assert documents() == {"long.txt"}


def test_a_broken_document_stops_no_other_and_keeps_what_was_stored(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name})
    ingest(loaded, milvus, name, [corpus])
    before = {r["doc_id"]: r["text"] for r in rows_of(milvus, name).values()}
    (corpus / "kites.md").write_bytes(b"\xff\xfa broken")
    (corpus / "new.pdf").write_bytes(b"%PDF-1.7 broken")
    (corpus / "other.txt").write_text("A new one.")
    report = ingest(loaded, milvus, name, [corpus])
    assert report.exit_code == 1
    assert {f.doc_id for f in report.failed} == {"kites.md", "new.pdf"}
    assert all(str(corpus / f.doc_id) in f.message for f in report.failed)
    after = {r["doc_id"]: r["text"] for r in rows_of(milvus, name).values()}
    assert after == before | {"other.txt": "A new one."}


def test_a_passage_too_long_for_the_field_is_refused_with_its_document(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, tmp_path: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "text_max_length": 256})
    (tmp_path / "d").mkdir()
    (tmp_path / "d/wide.txt").write_text("😀" * 150)  # 150 characters, 600 bytes
    (tmp_path / "d/fine.txt").write_text("x" * 150)
    report = ingest(loaded, milvus, name, [tmp_path / "d"])
    assert [f.doc_id for f in report.failed] == ["wide.txt"]
    assert "600 bytes; the collection takes 256" in report.failed[0].message
    assert {r["doc_id"] for r in rows_of(milvus, name).values()} == {"fine.txt"}


def run_in_process(loaded: LoadedSpec, name: str, corpus: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kitestring", "ingest", str(corpus), "--collection", name]
    return subprocess.Popen(
        [*command, "--spec", str(loaded.file), "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_is_continued_by_the_next(
    spec_for: SpecFor,
    milvus: MilvusServer,
    unique: Unique,
    tmp_path: Path,
    how: signal.Signals,
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL})
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        text = " ".join(f"In document {number} this is the sentence {n}." for n in range(100))
        (folder / f"{number:02d}.txt").write_text(text)
    process = run_in_process(loaded, name, folder)
    try:
        deadline = time.monotonic() + 60
        while not (ledger_file(loaded).exists() and len(in_ledger(loaded, name)) > 0):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(how)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    if how == signal.SIGINT:
        assert "interrupted" in stderr
        assert "Traceback" not in stderr
    done = len(in_ledger(loaded, name))
    assert done % 512 == 0

    second = run_in_process(loaded, name, folder)
    stdout, stderr = second.communicate(timeout=120)
    assert second.returncode == 0, stderr
    report = json.loads(stdout)
    total = milvus.count(name)
    assert 0 < done < total == 60 * 100
    assert report["rows_written"] == total - done
    assert_agree(loaded, milvus, name)
    third = ingest(loaded, milvus, name, [folder])
    assert (third.rows_written, third.notes) == (0, ())


def test_rows_that_went_missing_or_changed_are_written_again(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL})
    whole = ingest(loaded, milvus, name, [corpus])
    before = rows_of(milvus, name)
    lost, changed = sorted(before)[:2], sorted(before)[2]
    milvus.delete(name, lost)
    again = ingest(loaded, milvus, name, [corpus])
    assert again.rows_written == 2
    assert "2 rows that the ledger has are missing" in again.notes[0]
    assert rows_of(milvus, name) == before
    embedding = FakeEmbedder(dimension=64).embed_query("x")
    stray = {k: v for k, v in before[changed].items() if k != "content_hash"}
    extra = {"embedding": embedding, "content_hash": "0" * 64, "tenant_id": "default"}
    milvus.upsert(name, [{**stray, **extra, "last_embedded_at": 1}])
    assert ingest(loaded, milvus, name, [corpus]).rows_written == 0  # no sign of it
    assert ingest(loaded, milvus, name, [corpus], verify=True).rows_written == 1
    assert rows_of(milvus, name) == before
    milvus.drop_collection(name)
    rebuilt: IngestReport = ingest(loaded, milvus, name, [corpus])
    assert rebuilt.rows_written == whole.rows_written
    assert rows_of(milvus, name) == before


def test_a_lost_ledger_is_built_anew_without_embedding(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL})
    whole = ingest(loaded, milvus, name, [corpus])
    before = in_ledger(loaded, name)
    for file in ledger_file(loaded).parent.glob("ledger.sqlite*"):
        file.unlink()
    text = (corpus / "long.txt").read_text()
    (corpus / "long.txt").write_text(text[:200])
    report = ingest(loaded, milvus, name, [corpus])
    assert f"{whole.rows:,} of its {whole.rows:,} rows were entered" in report.notes[0]
    assert report.rows_written <= 1
    assert report.rows_deleted > 5
    assert in_ledger(loaded, name).keys() < before.keys()
    assert_agree(loaded, milvus, name)


def test_another_model_or_chunker_is_not_mixed_in(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name = unique("c")
    ingest(spec_for({"name": name, "chunking": SMALL}), milvus, name, [corpus])
    before = rows_of(milvus, name)
    other = spec_for({"name": name, "chunking": {**SMALL, "version": 2}})
    # another state folder: only the server's rows can tell
    with pytest.raises(MixedRows, match=r"chunker `sentence/64/0/1`, the spec says"):
        ingest(other, milvus, name, [corpus])
    model = {"provider": "hashing", "name": "hashing-word", "version": "2", "dimension": 64}
    newer = spec_for({"name": name, "chunking": SMALL, "model": "hashing-word@2"}, models=[model])
    with pytest.raises(MixedRows, match="model `hashing-word@1`, the spec says"):
        ingest(newer, milvus, name, [corpus])
    assert rows_of(milvus, name) == before
    report = ingest(other, milvus, name, [corpus], allow_mixed=True)
    assert report.rows_deleted == len(before)
    assert {r["chunker"] for r in rows_of(milvus, name).values()} == {"sentence/64/0/2"}
    assert_agree(other, milvus, name)


def test_what_does_not_fit_is_refused_before_anything_is_written(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name})
    with pytest.raises(CollectionNotFound):
        ingest(loaded, milvus, name, [corpus], create=False)
    with pytest.raises(UsageError, match="no collection `nothing`"):
        ingest(loaded, milvus, "nothing", [corpus])
    wide = {"provider": "hashing", "name": "wide", "version": "1", "dimension": 32}
    vector = Field("embedding", "FLOAT_VECTOR", dim=64)
    for schema, error, what in (
        (
            Schema((Field("id", "VARCHAR", primary=True, max_length=64), vector)),
            CollectionUnfit,
            "no field `tenant_id`",
        ),
        (Schema((Field("id", "INT64", primary=True), vector)), CollectionUnfit, "`id` is INT64"),
    ):
        milvus.create_collection(name, schema)
        with pytest.raises(error, match=what):
            ingest(loaded, milvus, name, [corpus])
        milvus.drop_collection(name)
    ingest(loaded, milvus, name, [corpus])
    narrower = spec_for({"name": name, "model": "wide@1"}, models=[wide])
    with pytest.raises(DimensionMismatch, match="64 dimensions; the model `wide@1` gives 32"):
        ingest(narrower, milvus, name, [corpus])


def test_search_finds_the_passage_and_judges_it(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name, alias = unique("c"), unique("a")
    collection = {"name": name, "aliases": [alias], "search": {"confidence": 0.3, "top_k": 2}}
    loaded = spec_for(collection)
    ingest(loaded, milvus, name, [corpus])
    found = search(loaded, milvus, alias, "which string keeps a kite from drifting?")
    assert found.collection == name
    assert len(found.passages) == 2
    best = found.passages[0]
    assert (best.doc_id, best.chunk_index, best.embedding_model) == (
        "kites.md",
        0,
        "hashing-word@1",
    )
    assert best.confident is True
    assert best.score > found.passages[1].score
    nothing = search(loaded, milvus, name, "zebra quilt", limit=3)
    assert nothing.confident == 0
    assert len(nothing.passages) == 3
    assert found.other_models == {}
    with pytest.raises(UsageError, match="empty"):
        search(loaded, milvus, name, "  ")
    with pytest.raises(UsageError, match="has no collection"):
        search(loaded, milvus, f"{name}x", "kite")


def test_verify_and_prune_bring_back_what_was_done_behind_the_ledger(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "chunking": SMALL})
    ingest(loaded, milvus, name, [corpus])
    before = rows_of(milvus, name)
    columns = [f.name for f in milvus.describe(name).schema.fields]
    some = [milvus.get(name, [key], columns)[0] for key in sorted(before)[:4]]
    milvus.insert(name, some[:2])  # doubled
    milvus.upsert(name, [{**some[2], "content_hash": "0" * 64}])  # changed
    milvus.delete(name, [some[3]["id"]])  # missing
    milvus.insert(name, [{**some[0], "id": "stranger"}])
    milvus.insert(name, [{**some[0], "id": "of-another", "tenant_id": "another"}])

    mended = ingest(loaded, milvus, name, [corpus], verify=True, prune=True)

    assert (mended.rows_written, mended.rows_deleted) == (4, 1)
    after = rows_of(milvus, name)
    assert after.pop("of-another")["doc_id"] == some[0]["doc_id"]  # not this tenant's business
    assert after == before
