"""Index drift, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.model.collection import Index, IndexState, LoadedSegment, Segment

HNSW = {"M": "16", "efConstruction": "200"}


def found(check, loaded, snapshot):
    """(subject, severity, expected, observed) of every finding of a check."""
    return [
        (f.subject, f.severity.value, f.expected, f.observed)
        for f in BY_ID[check].run(loaded, snapshot)
    ]


def state(index=None, total=3000, indexed=3000, pending=0, text="Finished"):
    default = Index("embedding", "embedding", "HNSW", "COSINE", HNSW)
    return (IndexState(index or default, total, indexed, pending, text),)


def test_clean(spec_from, clean):
    for check in BY_ID:
        if check.startswith("index."):
            assert found(check, spec_from(), clean) == []


def test_missing(spec_from, with_docs):
    snapshot = with_docs(indexes=())
    assert found("index.missing", spec_from(), snapshot) == [
        ("test/docs/index/embedding", "fail", "HNSW COSINE M=16 efConstruction=200", "none")
    ]
    (finding,) = BY_ID["index.missing"].run(spec_from(), snapshot)
    assert finding.location.line == 13
    for other in ("index.drift", "index.unindexed-rows", "index.segments", "index.unmanaged"):
        assert found(other, spec_from(), snapshot) == []


@pytest.mark.parametrize(
    ("index", "expected", "observed"),
    [
        (Index("embedding", "embedding", "IVF_FLAT", "COSINE", HNSW), "type=HNSW", "type=IVF_FLAT"),
        (Index("embedding", "embedding", "HNSW", "L2", HNSW), "metric=COSINE", "metric=L2"),
        (
            Index("embedding", "embedding", "HNSW", "COSINE", {**HNSW, "M": "4"}),
            "M=16",
            "M=4",
        ),
        (
            Index("embedding", "embedding", "HNSW", "COSINE", {"M": "16"}),
            "efConstruction=200",
            "efConstruction=not set",
        ),
    ],
)
def test_drift(spec_from, with_docs, index, expected, observed):
    snapshot = with_docs(indexes=state(index))
    assert found("index.drift", spec_from(), snapshot) == [
        ("test/docs/index/embedding", "fail", expected, observed)
    ]


@pytest.mark.parametrize(
    "index",
    [
        Index("any_name", "embedding", "HNSW", "COSINE", HNSW),
        Index("embedding", "embedding", "hnsw", "cosine", {"M": "16.0", "efConstruction": "200"}),
        Index("embedding", "embedding", "HNSW", "COSINE", {**HNSW, "mmap.enabled": "true"}),
        Index(
            "embedding", "embedding", "HNSW", "COSINE", {"params": '{"M":16,"efConstruction":200}'}
        ),
    ],
)
def test_the_same_index_in_other_words(spec_from, with_docs, index):
    assert found("index.drift", spec_from(), with_docs(indexes=state(index))) == []


def test_a_name_counts_where_the_spec_gives_one(spec_from, clean):
    loaded = spec_from(("        type: HNSW", "        name: vectors\n        type: HNSW"))
    assert found("index.drift", loaded, clean) == [
        ("test/docs/index/embedding", "fail", "name=vectors", "name=embedding")
    ]


def test_autoindex(spec_from, clean, with_docs):
    loaded = spec_from(
        ("type: HNSW", "type: AUTOINDEX"), ("params: {M: 16, efConstruction: 200}", "params: {}")
    )
    auto = Index("embedding", "embedding", "AUTOINDEX", "COSINE", {"level": "1"})
    assert found("index.drift", loaded, with_docs(indexes=state(auto))) == []
    assert found("index.drift", loaded, clean) == [
        ("test/docs/index/embedding", "fail", "type=AUTOINDEX", "type=HNSW")
    ]


def test_unmanaged_is_only_told(spec_from, with_docs):
    more = (*state(), IndexState(Index("doc", "doc_id", "Trie"), 3000, 3000, 0, "Finished"))
    assert found("index.unmanaged", spec_from(), with_docs(indexes=more)) == [
        ("test/docs/index/doc_id", "info", "none", "Trie")
    ]


UNINDEXED = "every row of the flushed segments indexed"


@pytest.mark.parametrize(
    ("indexes", "segments", "expected"),
    [
        # a build that the server gave up, and one that it says is finished but is not
        (
            state(indexed=1000, text="Failed"),
            (Segment(1, 8, 3000, "Flushed"),),
            ("fail", "1,000 of 3,000 rows, Failed"),
        ),
        (
            state(indexed=1000),
            (Segment(1, 8, 3000, "Flushed"),),
            ("fail", "1,000 of 3,000 rows, Finished"),
        ),
        # being built: 2.3 calls it Finished, with pending rows
        (
            state(indexed=0, pending=3000),
            (Segment(1, 8, 3000, "Flushed"),),
            ("warn", "0 of 3,000 rows, Finished"),
        ),
        (
            state(indexed=1000, text="InProgress"),
            (Segment(1, 8, 3000, "Flushed"),),
            ("warn", "1,000 of 3,000 rows, InProgress"),
        ),
        # small segments never get one
        (
            state(total=1500, indexed=0),
            (Segment(1, 8, 800, "Flushed"), Segment(2, 8, 700, "Flushed")),
            ("info", "0 of 1,500 rows, Finished"),
        ),
    ],
)
def test_unindexed_rows(spec_from, with_docs, indexes, segments, expected):
    snapshot = with_docs(indexes=indexes, segments=segments)
    severity, observed = expected
    assert found("index.unindexed-rows", spec_from(), snapshot) == [
        ("test/docs/index/embedding", severity, UNINDEXED, observed)
    ]


def test_one_row_more_than_the_small_segments_hold_is_a_failure(spec_from, with_docs):
    segments = (Segment(1, 8, 1023, "Flushed"), Segment(2, 8, 1024, "Flushed"))
    for indexed, severity in ((1024, "info"), (1023, "fail")):
        snapshot = with_docs(indexes=state(total=2047, indexed=indexed), segments=segments)
        (finding,) = BY_ID["index.unindexed-rows"].run(spec_from(), snapshot)
        assert finding.severity == severity


def test_growing_rows_are_not_unindexed(spec_from, with_docs):
    snapshot = with_docs(
        indexes=state(total=0, indexed=0), segments=(Segment(1, 8, 5000, "Growing"),)
    )
    assert found("index.unindexed-rows", spec_from(), snapshot) == []


def loaded_segment(rows=3000, name="embedding", index=5, number=100, kind="Sealed"):
    return LoadedSegment(number, rows, kind, name, index, (1,))


def test_a_loaded_segment_without_its_index(spec_from, with_docs):
    for bare in (loaded_segment(name="", index=0), loaded_segment(name="gone")):
        assert found("index.segments", spec_from(), with_docs(loaded_segments=(bare,))) == [
            (
                "test/docs/segments/index",
                "fail",
                "every sealed segment in memory has its index",
                "3,000 rows in segments 100",
            )
        ]


def test_a_segment_whose_index_is_being_built_is_a_warning(spec_from, with_docs):
    snapshot = with_docs(
        indexes=state(indexed=0, pending=3000),
        loaded_segments=(loaded_segment(name="", index=0),),
    )
    (finding,) = BY_ID["index.segments"].run(spec_from(), snapshot)
    assert finding.severity == "warn"


def test_small_and_growing_segments_need_no_index(spec_from, with_docs):
    snapshot = with_docs(
        segments=(Segment(100, 8, 1023, "Flushed"),),
        loaded_segments=(
            loaded_segment(rows=1023, name="", index=0),
            loaded_segment(rows=9000, name="", index=0, number=101, kind="Growing"),
        ),
    )
    assert found("index.segments", spec_from(), snapshot) == []


def test_other_rows_in_memory_than_on_disk(spec_from, with_docs):
    snapshot = with_docs(loaded_segments=(loaded_segment(rows=2900),))
    assert found("index.segments", spec_from(), snapshot) == [
        (
            "test/docs/segments/rows",
            "fail",
            "every flushed segment in memory, with as many rows",
            "2,900 of 3,000 rows; segments 100",
        )
    ]


def test_a_segment_not_yet_in_memory_is_a_warning(spec_from, with_docs):
    snapshot = with_docs(
        segments=(Segment(100, 8, 3000, "Flushed"), Segment(200, 8, 50, "Flushed"))
    )
    (finding,) = BY_ID["index.segments"].run(spec_from(), snapshot)
    assert (finding.severity, finding.observed) == ("warn", "3,000 of 3,050 rows; segments 200")


def test_segments_of_deletes_hold_no_rows(spec_from, with_docs, clean):
    disk = clean.collections["docs"].segments
    for level in ("L0", "1"):
        snapshot = with_docs(segments=(*disk, Segment(300, 8, 10, "Flushed", level)))
        assert found("index.segments", spec_from(), snapshot) == []


def test_nothing_in_memory_is_for_load_state_to_tell(spec_from, with_docs):
    snapshot = with_docs(load_state="NotLoad", replicas=0, loaded_segments=())
    assert found("index.segments", spec_from(), snapshot) == []


def test_fingerprints_do_not_change_with_counts(spec_from, with_docs):
    prints = set()
    for indexed in (10, 20):
        snapshot = with_docs(indexes=state(indexed=indexed))
        (finding,) = BY_ID["index.unindexed-rows"].run(spec_from(), snapshot)
        prints.add(finding.fingerprint)
    assert len(prints) == 1
    (other,) = BY_ID["index.missing"].run(spec_from(), with_docs(indexes=()))
    assert other.fingerprint not in prints
    assert replace(other, observed="x", message="y").fingerprint == other.fingerprint
