"""Whether rows of another model are told from rows of which nothing is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.drift.run import run_drift
from kitestring.enforce.embedding import judge

MODEL = "embedding.model-mismatch"


def judged(loaded, snapshot):
    return judge(run_drift(loaded, snapshot, only=[MODEL]))


def test_pass(spec_from, clean):
    result = judged(spec_from(), clean)
    assert (result.verdict.value, result.models) == ("pass", {"docs": {"words@1": 3000}})


def test_rows_of_another_model_are_counted_and_named(spec_from, with_docs):
    census = {"models": {"words@1": 2990, "old@3": 10}, "model_examples": {"old@3": ("k1", "k2")}}
    result = judged(spec_from(), with_docs(census=census))
    assert result.verdict.value == "fail"
    (line,) = result.lines(result.wrong)
    for part in ("test/docs", "10 rows", "k1, k2", "words@1", "old@3"):
        assert part in line


def test_a_collection_that_is_not_there_has_no_wrong_rows(spec_from, clean):
    result = judged(spec_from(), replace(clean, collections={}))
    assert result.verdict.value == "pass"


@pytest.mark.parametrize(
    "census", [{"models": None}, {"complete": False, "reason": "the scan broke off"}]
)
def test_what_cannot_be_told_is_no_pass(spec_from, with_docs, census):
    result = judged(spec_from(), with_docs(census=census))
    assert result.verdict.value == "inconclusive"
