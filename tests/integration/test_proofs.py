"""What drift runs prove on a real server: clean first, then a planted fault is found."""

from __future__ import annotations

import numpy as np
import pytest

from kitestring.drift import detect
from kitestring.spec.schema import collection_schema, wanted_index

pytestmark = pytest.mark.server

NO_BACKUP = {"backup": None, "objectives": None}  # other tests look at backups
ROWS = 3000


def a_row(number, vector, **other):
    return {
        "id": f"key{number:06}",
        "embedding": [float(x) for x in vector],
        "tenant_id": "",
        "doc_id": f"doc{number // 10}",
        "chunk_index": number % 10,
        "text": f"passage {number}",
        "content_hash": f"{number:064x}",
        "embedding_model": "hashing-word@1",
        "chunker": "sentence/200/20/1",
        "last_embedded_at": 1000,
        **other,
    }


def made(milvus, loaded, rows, *, flush=True):
    """The collection of a spec with these rows, loaded."""
    spec = loaded.spec.collections[0]
    milvus.create_collection(spec.name, collection_schema(loaded.spec, spec))
    milvus.insert(spec.name, rows)
    if flush:
        milvus.flush(spec.name)
    for index in spec.indexes:
        milvus.create_index(spec.name, wanted_index(index), wait=True)
    milvus.load(spec.name)
    return spec.name


def told(report, check):
    return [(f.severity.value, f.inconclusive) for f in report.findings if f.check == check]


@pytest.fixture
def vectors():
    """Without any structure: what an index finds hardest."""
    return np.random.default_rng().normal(size=(ROWS, 64))


def recall_spec(spec_for, name, nprobe):
    index = {"field": "embedding", "type": "IVF_FLAT", "metric": "L2", "params": {"nlist": 256}}
    return spec_for(
        {
            "name": name,
            "indexes": [index],
            "search": {"params": {"nprobe": nprobe}},
            "recall": {"queries": "stored", "sample": 50, "k": 10, "minimum": 0.9},
        },
        **NO_BACKUP,
    )


def test_recall_of_a_searched_too_narrowly_index(spec_for, milvus, unique, vectors):
    name = unique("c")
    wide = recall_spec(spec_for, name, 256)
    made(milvus, wide, [a_row(n, v) for n, v in enumerate(vectors)])
    report = detect(wide, only=["index.recall"])
    assert (told(report, "index.recall"), report.exit_code) == ([], 0)
    seen = report.snapshot.collections[name].recall
    assert seen.recall.mean == 1.0  # every list is probed: exact
    assert seen.rows == ROWS

    narrow = recall_spec(spec_for, name, 1)
    report = detect(narrow, only=["index.recall"])
    assert (told(report, "index.recall"), report.exit_code) == ([("fail", False)], 2)
    assert report.snapshot.collections[name].recall.recall.high < 0.9

    # rows that are in no segment file yet are read over the API
    milvus.insert(name, [a_row(ROWS, vectors[0])])
    report = detect(wide, only=["index.recall"])
    seen = report.snapshot.collections[name].recall
    assert (seen.path, seen.rows, report.exit_code) == ("api", ROWS + 1, 0)

    milvus.release(name)
    report = detect(wide, only=["index.recall"])
    assert (told(report, "index.recall"), report.exit_code) == ([("warn", True)], 3)
