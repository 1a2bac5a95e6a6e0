"""What happens to a drift run while it looks, or before: an error or inconclusive, never clean."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import yaml

from kitestring.clients.milvus.client import MilvusServer, wait_until
from kitestring.drift import detect
from kitestring.errors import LedgerUnreadable
from kitestring.ingest.ledger import LEDGER_FILE
from kitestring.spec.load import load
from tests.verbs import kitestring

NO_BACKUP = {"backup": None, "objectives": None}


def ingest(loaded, name, folder, documents=3):
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for n in range(documents):
        (corpus / f"{n}.md").write_text(f"# Document {n}\n\nIt is about kite number {n}.\n")
    assert kitestring("ingest", corpus, "--collection", name, "--spec", loaded.file) == 0


def changed(loaded, **top):
    """The same spec with other top-level keys, in the same place."""
    document = {**yaml.safe_load(loaded.file.read_text()), **top}
    loaded.file.write_text(yaml.safe_dump(document))
    return load(loaded.file)


def blind(report):
    return {run.check for run in report.runs if run.verdict == "inconclusive"}


@pytest.mark.server
def test_a_server_that_dies_in_the_middle_of_a_scan(tmp_path, monkeypatch, capsys):
    """An error and no report, no baseline: what was seen until then proves nothing."""
    from kitestring.local import running

    with running(tmp_path / "milvus", timeout=120) as state:
        file = tmp_path / "cluster.yaml"
        file.write_text(
            "version: 1\ncluster: {name: dying}\nstate: state\n"
            f"connection: {{uri: '{state.uri}', timeout: 60s}}\n"
            "models: [{provider: hashing, name: words, version: '1', dimension: 16}]\n"
            "collections:\n"
            "  - name: docs\n"
            "    model: words@1\n"
            "    chunking: {strategy: fixed, size: 200, version: 1}\n"
            "    indexes: [{field: embedding, type: FLAT, metric: COSINE}]\n"
        )
        ingest(load(file), "docs", tmp_path)
        file.write_text(file.read_text().replace("60s", "5s"))
        scan, process = MilvusServer.scan, Path(f"/proc/{state.pid}/fd/0")

        def dies(self, *args, **options):
            for batch in scan(self, *args, **options):
                yield batch
                os.kill(state.pid, signal.SIGKILL)
                wait_until(lambda: not process.exists(), timeout=20, what="the end")

        monkeypatch.setattr(MilvusServer, "scan", dies)
        capsys.readouterr()
        report, baseline = tmp_path / "report.json", tmp_path / "baseline.json"
        asked = ("-o", f"json={report}", "--write-baseline", baseline, "-o", "text")
        assert kitestring("drift", "--spec", file, *asked) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "no Milvus answers" in captured.err
        assert not report.exists()
        assert not baseline.exists()


def test_a_ledger_of_another_cluster_is_refused_and_a_lost_one_is_inconclusive(
    spec_for, milvus, unique, tmp_path
):
    name = unique()
    loaded = spec_for({"name": name}, **NO_BACKUP)
    ingest(loaded, name, tmp_path)
    other = changed(loaded, cluster={"name": "other", "environment": "test"})
    with pytest.raises(LedgerUnreadable, match="belongs to the cluster `test`, not to `other`"):
        detect(other)
    for part in loaded.state_dir.glob(f"{LEDGER_FILE}*"):
        part.unlink()
    report = detect(loaded, only=["rows"])
    assert report.exit_code == 3
    assert {"ledger.absent", "rows.missing", "rows.orphan", "rows.stale"} <= blind(report)


def test_a_baseline_of_another_cluster_is_refused_before_the_scan(
    spec_for, milvus, unique, tmp_path, capsys
):
    loaded = spec_for({"name": unique()}, **NO_BACKUP)
    file = tmp_path / "baseline.json"
    kitestring("drift", "--spec", loaded.file, "--write-baseline", file)
    assert json.loads(file.read_text())["cluster"] == "test"
    other = changed(loaded, cluster={"name": "other", "environment": "test"})
    capsys.readouterr()
    assert kitestring("drift", "--spec", other.file, "--baseline", file) == 1
    assert "is of the cluster `test`, not of `other`" in capsys.readouterr().err


def test_golden_queries_of_a_dropped_collection_are_not_clean(spec_for, milvus, unique, tmp_path):
    name, golden = unique(), tmp_path / "golden.jsonl"
    golden.write_text('{"query": "kite", "relevant": ["0.md"]}\n')
    loaded = spec_for(
        {"name": name, "golden": str(golden), "recall": {"k": 1, "minimum": 0.5}},
        **NO_BACKUP,
    )
    ingest(loaded, name, tmp_path)
    milvus.drop_collection(name)
    report = detect(loaded, only=["index.recall"])
    assert report.exit_code == 2
    assert [f.check for f in report.findings] == ["schema.missing-collection"]
    assert blind(report) == {"index.recall"}


def test_rows_of_a_clock_that_was_ahead_are_not_clean(spec_for, milvus, unique, tmp_path):
    """A stale row that says that it was written next year is not passed over as in flight."""
    name = unique()
    loaded = spec_for({"name": name}, **NO_BACKUP)
    ingest(loaded, name, tmp_path)
    assert detect(loaded, only=["rows"]).exit_code == 0
    fields = [f.name for f in milvus.describe(name).schema.fields]
    (row, *_) = next(milvus.scan(name, fields)).to_pylist()
    row = {field: value for field, value in row.items() if field in fields}
    next_year = int(time.time() * 1000) + 365 * 86_400_000
    milvus.upsert(name, [{**row, "content_hash": "0" * 64, "last_embedded_at": next_year}])
    report = detect(loaded, only=["rows"])
    assert report.exit_code == 3
    assert {"rows.scan", "rows.stale", "rows.missing"} <= blind(report)
    assert row["id"] in next(f.message for f in report.findings if f.check == "rows.scan")
