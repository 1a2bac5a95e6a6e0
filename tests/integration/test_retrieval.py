"""Golden queries on a real server: calibrated, clean, then answers that are no longer right."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from kitestring.drift import detect
from tests.integration.report_schema import published
from tests.verbs import kitestring

pytestmark = pytest.mark.server

TOPICS = 24


def found(loaded):
    report = published(detect(loaded, only=["retrieval"]))
    return {
        f.check: "?" if f.inconclusive else f.severity.value for f in report.findings
    }, report.exit_code


def test_calibrated_then_answers_go_wrong(spec_for, milvus, unique, tmp_path, capsys):
    name = unique("c")
    golden = tmp_path / "golden.yaml"
    queries = [
        {"query": f"tell me about alpha{n} and beta{n}", "relevant": [f"{n:02}.md"]}
        for n in range(TOPICS)
    ]
    golden.write_text(yaml.safe_dump({"version": 1, "queries": queries}))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for n in range(TOPICS):
        (corpus / f"{n:02}.md").write_text(f"alpha{n} beta{n} gamma{n} are about kite number {n}.")

    def spec(**more):
        model = {"provider": "hashing", "name": "words", "version": "1", "dimension": 1024}
        return spec_for(
            {
                "name": name,
                "model": "words@1",
                "golden": str(golden),
                "retrieval": {"minimum": 0.8, "hybrid": True},
                "search": {"top_k": 3},
                **more,
            },
            models=[model, model | {"version": "2"}],
            state=str(tmp_path / "state"),
            backup=None,
            objectives=None,
        )

    loaded = spec()
    assert kitestring("ingest", corpus, "--collection", name, "--spec", loaded.file) == 0
    assert found(loaded) == ({"retrieval.calibrated": "?"}, 3)
    capsys.readouterr()
    assert (
        kitestring(
            "retrieval", "calibrate", "--collection", name, "--spec", loaded.file, "-o", "json"
        )
        == 0
    )
    made = json.loads(capsys.readouterr().out)
    assert (made["model"], made["precision"], made["queries"]) == ("words@1", 1.0, TOPICS)
    assert found(loaded) == ({}, 0)

    # another version of the model: its scores mean something else
    assert found(spec(model="words@2"))[0]["retrieval.calibrated"] == "?"

    # documents go: the queries for them are named, and not counted as missed
    gone = [row["id"] for row in rows_of(milvus, name) if row["doc_id"] in ("00.md", "01.md")]
    milvus.delete(name, gone)
    assert found(loaded) == ({"retrieval.golden-gone": "warn"}, 0)

    # vectors of another model under the same label
    noise = np.random.default_rng(7)
    left = [{**row, "embedding": noise.normal(size=1024).tolist()} for row in rows_of(milvus, name)]
    milvus.upsert(name, left)
    told, code = found(loaded)
    assert (told["retrieval.hit-rate"], code) == ("fail", 2)
    assert told["retrieval.hybrid"] == "info"  # the words still lead to the documents


def rows_of(milvus, name):
    schema = milvus.describe(name).schema
    columns = [f.name for f in schema.fields]
    return [row for batch in milvus.scan(name, columns) for row in batch.to_pylist()]
