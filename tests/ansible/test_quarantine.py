"""Rows of another model are set aside when asked, and written again by the next ingestion."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kitestring.ingest.ledger import open_ledger
from kitestring.ingest.run import ingest

EMBEDDING = "playbooks/embedding.yml"
ASKED = '{"embedding_version_quarantine": true}'
TASK = "Set aside the rows of another embedding model"


@pytest.fixture
def cluster(spec_for, unique, milvus, tmp_path):
    """A collection of three ingested documents, and its corpus."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for n in range(3):
        (corpus / f"d{n}.txt").write_text(f"The kite number {n} flies over the field.")
    loaded = spec_for({"name": unique()})
    assert ingest(loaded, milvus, loaded.spec.collections[0].name, [corpus]).exit_code == 0
    return loaded, corpus


def stored(milvus, name):
    columns = ["id", "doc_id", "text", "embedding_model"]
    found = [row for batch in milvus.scan(name, columns) for row in batch.to_pylist()]
    return {row["id"]: row for row in found}


def relabel(milvus, name, doc_id, label):
    """The rows of a document, as another model would have written them."""
    columns = [f.name for f in milvus.describe(name).schema.fields]
    rows = [
        row
        for batch in milvus.scan(name, columns, filter=f'doc_id == "{doc_id}"')
        for row in batch.to_pylist()
    ]
    milvus.upsert(name, [{**row, "embedding_model": label} for row in rows])
    return {row["id"] for row in rows}


def test_set_aside_once_and_written_again(play, cluster, milvus):
    loaded, corpus = cluster
    name = loaded.spec.collections[0].name
    before = stored(milvus, name)
    wrong = relabel(milvus, name, "d1.txt", "other@9")
    nameless = relabel(milvus, name, "d2.txt", "")
    folder = loaded.state_dir / "quarantine"

    foretold = play(EMBEDDING, loaded.file, "--check", "--diff", variables=[ASKED])
    assert foretold.code == 0, foretold.output
    assert foretold.changed_tasks() == [TASK]
    assert f"-test/{name}: 1 rows of another model" in foretold.output
    verb = [sys.executable, "-m", "kitestring", "embedding", "quarantine", "--dry-run"]
    told = subprocess.check_output([*verb, "--spec", str(loaded.file)], text=True, timeout=60)
    assert told.startswith(f"{name}: 1 row of another model would be set aside in {folder}")
    assert len(stored(milvus, name)) == 3
    assert not folder.exists()

    with open_ledger(loaded) as ledger, ledger.run(name):
        busy = play(EMBEDDING, loaded.file, variables=[ASKED])
    assert busy.failed_task() == TASK
    assert "ingest.busy" in busy.output
    assert wrong <= stored(milvus, name).keys()

    done = play(EMBEDDING, loaded.file, "--diff", variables=[ASKED])
    assert done.changed_tasks() == [TASK], done.output
    assert done.failed_task() == "Check which embedding model made the stored rows"
    assert "(no label): 1 row" in done.output
    left = stored(milvus, name)
    assert left.keys() == before.keys() - wrong
    assert nameless <= left.keys()
    (file,) = folder.iterdir()
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["key"] for row in kept} == wrong
    assert kept[0]["text"] == "The kite number 1 flies over the field."
    assert (kept[0]["doc_id"], kept[0]["embedding_model"]) == ("d1.txt", "other@9")

    relabel(milvus, name, "d2.txt", "hashing-word@1")
    again = play(EMBEDDING, loaded.file, variables=[ASKED])
    assert again.code == 0, again.output
    assert again.changed == 0
    assert list(folder.iterdir()) == [file]

    report = ingest(loaded, milvus, name, [corpus])
    assert report.rows_written == len(wrong)
    assert stored(milvus, name) == before
