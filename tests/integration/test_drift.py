"""Drift of a real collection: clean first, then every planted fault is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kitestring.clients.milvus.client import wait_until
from kitestring.drift import detect
from kitestring.errors import KitestringError
from kitestring.model.collection import Index
from kitestring.model.digest import DYNAMIC_FIELD
from tests.verbs import kitestring

ROOT = Path(__file__).parents[2]
NO_BACKUP = {"backup": None, "objectives": None}  # other tests look at backups


@pytest.fixture
def ingested(spec_for, tmp_path, unique):
    """A collection of 40 real documents, ingested, and its alias."""
    name, alias = unique("c"), unique("a")
    loaded = spec_for({"name": name, "aliases": [alias]}, **NO_BACKUP)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for n in range(40):
        text = " ".join(
            f"Sentence {i} of document {n} is about kites and strings." for i in range(9)
        )
        (corpus / f"{n:02}.md").write_text(f"# Document {n}\n\n{text}\n")
    assert kitestring("ingest", corpus, "--collection", name, "--spec", loaded.file) == 0
    return loaded, name, alias


def rows_of(milvus, name, count):
    schema = milvus.describe(name).schema
    batch = next(milvus.scan(name, [f.name for f in schema.fields], batch_rows=count))
    return [{k: v for k, v in row.items() if k != DYNAMIC_FIELD} for row in batch.to_pylist()]


def found(loaded, **options):
    """(check, observed) of every finding that fails, and the exit code."""
    report = detect(loaded, **options)
    return {f.check: f.observed for f in report.findings if f.severity == "fail"}, report.exit_code


def test_clean_then_every_fault_of_the_rows(ingested, milvus, capsys, tmp_path):
    loaded, name, _ = ingested
    assert found(loaded) == ({}, 0)

    deleted, stale, doubled, model, chunker, orphan = ([row] for row in rows_of(milvus, name, 6))
    milvus.delete(name, [deleted[0]["id"]])
    milvus.upsert(name, [{**stale[0], "content_hash": "0" * 64}])
    milvus.upsert(name, [{**model[0], "embedding_model": "other@9"}])
    milvus.upsert(name, [{**chunker[0], "chunker": "fixed/9/0/1"}])
    milvus.insert(name, [{**orphan[0], "id": "nobody-knows-me"}])
    milvus.insert(name, doubled)

    capsys.readouterr()
    sarif = tmp_path / "drift.sarif"
    outputs = ("-o", "json", "-o", f"sarif={sarif}")
    assert kitestring("drift", "--spec", loaded.file, *outputs) == 2
    report = json.loads(capsys.readouterr().out)
    told = {f["check"]: f for f in report["findings"] if f["severity"] == "fail"}
    assert {check: f["observed"] for check, f in told.items() if check.startswith("rows.")} == {
        "rows.missing": "1 row",
        "rows.orphan": "1 row",
        "rows.stale": "1 row",
        "rows.duplicate": "1 row",
    }
    assert set(told) == {
        "rows.missing",
        "rows.orphan",
        "rows.stale",
        "rows.duplicate",
        "embedding.model-mismatch",
        "chunking.mismatch",
    }
    results = json.loads(sarif.read_text())["runs"][0]["results"]
    assert [r["ruleId"] for r in results] == [f["check"] for f in report["findings"]]
    assert deleted[0]["id"] in told["rows.missing"]["message"]
    assert "nobody-knows-me" in told["rows.orphan"]["message"]
    assert stale[0]["id"] in told["rows.stale"]["message"]
    assert doubled[0]["id"] in told["rows.duplicate"]["message"]
    assert "other@9: 1 row" in told["embedding.model-mismatch"]["observed"]
    assert model[0]["id"] in told["embedding.model-mismatch"]["message"]
    assert "fixed/9/0/1: 1 row" in told["chunking.mismatch"]["observed"]
    (rows,) = [c["rows"] for c in report["snapshot"]["collections"] if c["name"] == name]
    assert rows["complete"]
    assert rows["counted"] == rows["ledger"] + 1  # one gone, one orphan, one double

    assert kitestring("embedding", "check", "--spec", loaded.file) == 2
    assert kitestring("drift", "--spec", loaded.file, "--only", "load") == 0
    assert kitestring("drift", "--spec", loaded.file, "--no-rows") == 0

    # the hints mend it
    milvus.delete(name, ["nobody-knows-me", doubled[0]["id"]])
    corpus = tmp_path / "corpus"
    again = ("--verify", "--allow-mixed", "--collection", name, "--spec", loaded.file)
    assert kitestring("ingest", corpus, *again) == 0
    assert found(loaded) == ({}, 0)


def test_every_fault_of_the_definitions(ingested, milvus, unique):
    loaded, name, alias = ingested
    other = unique("other")
    milvus.create_collection(other, milvus.describe(name).schema)
    try:
        milvus.move_alias(other, alias)
        milvus.release(name)
        told, code = found(loaded)
        assert (set(told), code) == ({"alias.drift", "load.state"}, 2)
        assert told["alias.drift"] == other

        milvus.drop_index(name, "embedding")
        told, code = found(loaded, only=["index"])
        assert (told, code) == ({"index.missing": "none"}, 2)

        weaker = {"M": "4", "efConstruction": "100"}
        milvus.create_index(name, Index("embedding", "embedding", "HNSW", "COSINE", weaker))
        told, code = found(loaded, only=["index"])
        assert (told, code) == ({"index.drift": "M=4"}, 2)
    finally:
        milvus.move_alias(name, alias)
        milvus.drop_collection(other)


def test_a_dropped_collection_is_never_clean(ingested, milvus):
    loaded, name, alias = ingested
    milvus.drop_alias(alias)
    milvus.drop_collection(name)
    for only in ((), ("rows",), ("embedding",), ("alias",)):
        told, code = found(loaded, only=only)
        assert (told, code) == ({"schema.missing-collection": "absent"}, 2), only


def test_rows_that_nobody_ingested_are_inconclusive(spec_for, milvus, unique):
    name = unique()
    loaded = spec_for({"name": name}, **NO_BACKUP)
    from kitestring.spec.schema import collection_schema, wanted_index

    spec = loaded.spec.collections[0]
    milvus.create_collection(name, collection_schema(loaded.spec, spec))
    milvus.create_index(name, wanted_index(spec.indexes[0]), wait=True)
    milvus.load(name)
    report = detect(loaded)
    assert report.exit_code == 3
    assert [f.check for f in report.findings if f.inconclusive] == ["ledger.absent"]


def test_small_and_fresh_segments_are_no_failure(ingested, milvus):
    """Right after a flush the index is being built and the query nodes lag: no failure."""
    loaded, name, _ = ingested
    milvus.flush(name)
    for _ in range(5):
        told, code = found(loaded, only=["index", "load"])
        assert (told, code) == ({}, 0)


def test_no_server_is_an_error(spec_for, tmp_path):
    loaded = spec_for(connection={"embedded": str(tmp_path / "nothing")}, **NO_BACKUP)
    with pytest.raises(KitestringError) as caught:
        detect(loaded)
    assert caught.value.exit_code == 1


def test_the_script_under_cron(ingested):
    loaded, _, _ = ingested
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "scripts/drift_detect.py",
            "--spec",
            loaded.file,
            "--output",
            "json",
        ],
        env={},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "pass"
    assert os.access(ROOT / "scripts/drift_detect.py", os.X_OK)


def test_the_index_comes_into_memory(ingested, milvus):
    """The facts on which `index.segments` rests: after a while, disk and memory are the same."""
    loaded, name, _ = ingested
    milvus.flush(name)

    def settled():
        report = detect(loaded, only=["index.segments"])
        return not report.findings

    wait_until(settled, timeout=180, what="the handoff", longest=2.0)  # raises when it never is
    assert settled()
