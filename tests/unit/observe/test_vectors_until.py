"""What was read out of files says up to when they hold every write."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from kitestring.drift import run_drift
from kitestring.observe import canary, recall
from kitestring.observe.vectors import Source
from kitestring.render.formats import rendered_drift
from kitestring.spec.proofs import RecallProof
from tests.unit.conftest import NOW

BEFORE = NOW - 3000
KEYS = [f"k{n}" for n in range(40)]


class Server:
    """Counts as many rows as there are before and after a row was replaced a second ago."""

    def __init__(self, until):
        self.until = until

    def count(self, name):
        return len(KEYS)

    def flushed_until(self, name, now):
        return now if self.until == "now" else self.until

    @property
    def columnar(self):
        return self

    def page(self, name, schema, columns, expression):
        (batch,) = rows(columns)
        return batch.filter(pa.array([f'"{key}"' in expression for key in KEYS]))

    def search(self, name, vectors, **options):
        return [[] for _ in vectors]


VECTORS = np.eye(8, dtype=np.float32)[np.arange(40) % 8]


def rows(columns):
    flat = pa.array(VECTORS.reshape(-1))
    vectors = pa.FixedSizeListArray.from_arrays(flat, 8)
    yield pa.record_batch({"id": pa.array(KEYS), "embedding": vectors}).select(columns)


@pytest.fixture
def files(monkeypatch):
    """Files and API give the same rows, and nothing is known to grow."""

    def sources(*_):
        yield Source("segments", rows)
        yield Source("api", rows)

    for module in (canary, recall):
        monkeypatch.setattr(module, "sources", sources)
    monkeypatch.setattr(canary, "_LITTLE", 0)


@pytest.mark.parametrize(
    ("known", "path", "until"),
    [(BEFORE, "segments", BEFORE), ("now", "segments", None), (None, "api", None)],
)
def test_later_writes_are_told_and_without_a_boundary_the_api_is_read(
    spec_from, clean, files, known, path, until
):
    info = clean.collections["docs"].info
    server = Server(known)
    field = info.schema.field("embedding")
    seen = canary.every_vector(spec_from(), server, info, field, unit=True)
    assert (seen.path, seen.until, seen.complete) == (path, until, True)
    spec = spec_from().spec.collections[0]
    proof = RecallProof(queries="stored", sample=10, k=2, minimum=0.1)
    found = recall.measure(spec_from(), server, spec, proof, info)
    assert (found.path, found.until, found.reason) == (path, until, "")


def test_a_report_says_up_to_when(spec_from, clean, files):
    """In the finding where there is one, and in words and JSON where there is none."""
    asked = "    canary: {vectors: all}\n    recall: {queries: stored, k: 2, minimum: 0.9}\n"
    loaded = spec_from(("    aliases: [current]\n", f"    aliases: [current]\n{asked}"))
    docs = clean.collections["docs"]
    info, server, spec = docs.info, Server(BEFORE), loaded.spec.collections[0]
    seen = recall.measure(loaded, server, spec, spec.recall, info)
    report = run_drift(
        loaded,
        replace(clean, collections={"docs": replace(docs, recall=seen)}),
        only=["index.recall"],
    )
    (finding,) = report.findings
    assert "40 rows written until 2027-01-15 07:59:57 UTC scored" in finding.message
    later = "writes after 2027-01-15 07:59:57 UTC are not in the files"
    assert f"recall of docs, vectors read by segments: {later}" in rendered_drift(report, "text")
