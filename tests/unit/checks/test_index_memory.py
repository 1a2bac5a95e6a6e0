"""Segments in memory, and recall, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.model.collection import LoadedSegment
from kitestring.model.drill import Recall
from kitestring.model.recall import LiveRecall

ASKED = ("    load: {loaded: true", "    recall: {queries: stored}\n    load: {loaded: true")


def found(check, loaded, snapshot):
    return [
        (f.severity.value, f.inconclusive, f.observed) for f in BY_ID[check].run(loaded, snapshot)
    ]


def with_recall(clean, seen):
    docs = replace(clean.collections["docs"], recall=seen)
    return replace(clean, collections={"docs": docs})


def recalled(mean, low, high, reason=""):
    return LiveRecall(Recall(10, 40, mean, low, high, 0.5), "40 queries", "api", 3000, reason)


def test_recall_is_for_specs_that_ask(spec_from, clean):
    assert BY_ID["index.recall"].unasked(spec_from()) == "has no collection with `recall`"
    assert BY_ID["index.recall"].unasked(spec_from(ASKED)) == ""
    assert found("index.recall", spec_from(), clean) == []


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (recalled(0.97, 0.95, 0.99), []),
        (
            recalled(0.8, 0.7, 0.94),
            [("fail", False, "0.800 (95% interval 0.700 to 0.940), 5th percentile 0.500")],
        ),
        (
            recalled(0.95, 0.94, 0.97),
            [("warn", True, "0.950 (95% interval 0.940 to 0.970), 5th percentile 0.500")],
        ),
        (
            recalled(0.99, 0.98, 1.0, "rows were written"),
            [("warn", True, "0.990 (95% interval 0.980 to 1.000), 5th percentile 0.500")],
        ),
        (LiveRecall(reason="no rows"), [("warn", True, "none")]),
        (None, [("warn", True, "none")]),
    ],
)
def test_recall(spec_from, clean, seen, expected):
    assert found("index.recall", spec_from(ASKED), with_recall(clean, seen)) == expected


def test_a_collection_may_ask_for_more_than_the_objective(spec_from, clean):
    strict = (ASKED[0], ASKED[1].replace("stored}", "stored, minimum: 0.99}"))
    snapshot = with_recall(clean, recalled(0.97, 0.96, 0.98))
    assert found("index.recall", spec_from(ASKED), snapshot) == []
    assert len(found("index.recall", spec_from(strict), snapshot)) == 1


def test_every_replica_has_every_segment(spec_from, with_docs):
    both = LoadedSegment(100, 3000, "Sealed", "embedding", 5, (1, 2))
    one = LoadedSegment(101, 500, "Sealed", "embedding", 5, (2,))
    snapshot = with_docs(replicas=2, loaded_segments=(both, one))
    assert found("index.replica-segments", spec_from(), snapshot) == [
        ("fail", False, "500 rows on fewer; segments 101")
    ]
    halves = (
        LoadedSegment(100, 3000, "Sealed", "embedding", 5, (1,)),
        LoadedSegment(100, 3000, "Sealed", "embedding", 5, (2,)),
    )
    snapshot = with_docs(replicas=2, loaded_segments=halves)
    assert found("index.replica-segments", spec_from(), snapshot) == []


def test_rows_that_grow_without_end(spec_from, with_docs):
    def grown(rows):
        return with_docs(loaded_segments=(LoadedSegment(9, rows, "Growing", "", 0, (1,)),))

    limit = 2**30 // (8 * 4)
    assert found("index.growing", spec_from(), grown(limit)) == []
    assert found("index.growing", spec_from(), grown(limit * 2)) == [
        ("warn", False, "2.0 GiB; segments 9")
    ]
