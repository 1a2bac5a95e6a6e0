"""Plans, as literal steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.drift.run import run_drift
from kitestring.enforce.plan import plan
from kitestring.enforce.reconcile import CHECKS
from kitestring.model.collection import Index, IndexState, Segment
from kitestring.model.evidence import ALL
from kitestring.spec.models import Column


def planned(loaded, snapshot):
    report = run_drift(loaded, snapshot, only=CHECKS, without=ALL)
    return plan(loaded, snapshot, report.findings)


def steps(loaded, snapshot):
    return [(a.kind, a.subject, a.before, a.after) for a in planned(loaded, snapshot).actions]


def other(snapshot, *, rows):
    """The snapshot with a second collection, to which the alias leads."""
    docs = snapshot.collections["docs"]
    segments = (Segment(900, 9, rows, "Flushed"),) if rows else ()
    second = replace(
        docs, info=replace(docs.info, name="older"), segments=segments, loaded_segments=()
    )
    return replace(
        snapshot,
        collections={**snapshot.collections, "older": second},
        aliases={"current": "older"},
    )


def test_nothing_to_do(spec_from, clean):
    result = planned(spec_from(), clean)
    assert result.actions == ()
    assert result.unfixable == ()


def test_a_missing_collection_is_made_whole_in_a_safe_order(spec_from, clean):
    snapshot = replace(clean, collections={}, aliases={})
    assert steps(spec_from(), snapshot) == [
        ("create-collection", "test/docs", "absent", "created, without rows"),
        (
            "create-index",
            "test/docs/index/embedding",
            "absent",
            "HNSW COSINE M=16 efConstruction=200",
        ),
        ("load", "test/docs", "not loaded", "loaded, replicas=1"),
        ("create-alias", "test/docs/alias/current", "absent", "docs"),
    ]


def test_a_dropped_index_and_a_released_collection(spec_from, with_docs):
    snapshot = with_docs(indexes=(), load_state="NotLoad", replicas=0)
    assert [s[0] for s in steps(spec_from(), snapshot)] == ["create-index", "load"]


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (Index("embedding", "embedding", "IVF_FLAT", "COSINE", {"nlist": "8"}), "type is IVF_FLAT"),
        (
            Index("embedding", "embedding", "HNSW", "L2", {"M": "16", "efConstruction": "200"}),
            "metric is L2, not COSINE",
        ),
        (
            Index("embedding", "embedding", "HNSW", "COSINE", {"M": "4", "efConstruction": "200"}),
            "M is 4, not 16",
        ),
    ],
)
def test_an_index_that_differs_is_rebuilt(spec_from, with_docs, index, reason):
    snapshot = with_docs(indexes=(IndexState(index, 1, 1, 0, "Finished"),))
    (action,) = planned(spec_from(), snapshot).actions
    assert action.kind == "rebuild-index"
    assert reason in action.reason
    assert action.check == "index.drift"


def test_an_index_that_the_server_failed_to_build_is_rebuilt(spec_from, clean, with_docs):
    index = clean.collections["docs"].info.indexes[0].index
    snapshot = with_docs(indexes=(IndexState(index, 3000, 0, 0, "Failed"),))
    (action,) = planned(spec_from(), snapshot).actions
    assert (action.kind, action.check) == ("rebuild-index", "index.unindexed-rows")


def test_replicas(spec_from, clean):
    loaded = spec_from(("replicas: 1", "replicas: 2"))
    assert steps(loaded, clean) == [("set-replicas", "test/docs", "replicas=1", "replicas=2")]


def test_released_where_the_spec_says_so(spec_from, clean):
    loaded = spec_from(("{loaded: true, replicas: 1}", "{loaded: false}"))
    assert [s[0] for s in steps(loaded, clean)] == ["release"]


def test_an_alias_is_moved_back_after_loading(spec_from, clean, with_docs):
    released = with_docs(load_state="NotLoad", replicas=0)
    snapshot = other(released, rows=10)
    assert [s[0] for s in steps(spec_from(), snapshot)] == ["load", "move-alias"]


@pytest.mark.parametrize("rows", [0, 10])
def test_an_alias_is_not_taken_from_rows_to_none(spec_from, with_docs, rows):
    snapshot = other(with_docs(segments=(), loaded_segments=()), rows=rows)
    result = planned(spec_from(), snapshot)
    if rows:
        assert result.actions == ()
        assert [r.check for r in result.unfixable if r.check == "alias.drift"] == ["alias.drift"]
        assert "has none; ingest first" in result.unfixable[0].reason
    else:
        assert [a.kind for a in result.actions] == ["move-alias"]


def test_an_alias_is_not_moved_to_a_collection_that_is_to_be_released(spec_from, clean):
    loaded = spec_from(("{loaded: true, replicas: 1}", "{loaded: false}"))
    result = planned(loaded, other(clean, rows=10))
    assert [a.kind for a in result.actions] == ["release"]
    assert "wants `docs` released" in result.unfixable[0].reason


def test_an_alias_cannot_have_the_name_of_a_collection(spec_from, clean):
    docs = clean.collections["docs"]
    snapshot = replace(
        clean,
        collections={**clean.collections, "current": replace(docs, census=None)},
        aliases={},
    )
    result = planned(spec_from(), snapshot)
    assert result.actions == ()
    assert "a collection is named `current`" in result.unfixable[0].reason


def test_a_schema_is_never_changed(spec_from, clean, with_docs):
    schema = clean.collections["docs"].info.schema
    fields = tuple(replace(f, dim=16) if f.is_vector else f for f in schema.fields)
    result = planned(spec_from(), with_docs(schema=replace(schema, fields=fields)))
    assert result.actions == ()
    (refusal,) = result.unfixable
    assert refusal.check == "schema.drift"
    assert "can't be changed without rewriting rows" in refusal.reason


def test_an_alias_that_the_spec_does_not_know_is_left(spec_from, clean):
    snapshot = replace(clean, aliases={**clean.aliases, "extra": "docs"})
    result = planned(spec_from(), snapshot)
    assert result.actions == ()
    assert [(r.subject, r.severity.value) for r in result.unfixable] == [
        ("test/docs/alias/extra", "warn")
    ]


def test_findings_about_rows_are_left_to_ingestion(spec_from, with_docs):
    snapshot = with_docs(census={"models": {"words@1": 2990, "other@9": 10}})
    findings = run_drift(spec_from(), snapshot, only=["embedding"]).findings
    (refusal,) = plan(spec_from(), snapshot, findings).unfixable
    assert refusal.check == "embedding.model-mismatch"
    assert "kitestring ingest" in refusal.reason


LANG = {"name": "lang", "type": "VARCHAR", "max_length": 16, "nullable": True}


def with_a_column_more(loaded, snapshot, **column):
    """The spec with a column that the server's collection does not have."""
    spec = loaded.spec.collections[0]
    there = snapshot.collections["docs"].info.schema.fields
    columns = [Column(**plain(f)) for f in there]
    wanted = spec.model_copy(update={"columns": [*columns, Column(**column)]})
    return replace(loaded, spec=loaded.spec.model_copy(update={"collections": [wanted]}))


def plain(field):
    names = Column.model_fields
    return {name: getattr(field, name) for name in names if getattr(field, name) is not None}


def test_a_field_that_may_be_null_is_added_before_its_index(spec_from, clean):
    loaded = with_a_column_more(spec_from(), clean, **LANG)
    snapshot = replace(clean, server_version="v2.6.4")
    assert steps(loaded, snapshot) == [
        ("add-field", "test/docs/field/lang", "absent", "lang VARCHAR(16) nullable")
    ]
    assert planned(loaded, snapshot).unfixable == ()


def test_an_older_server_can_not_add_a_field(spec_from, clean):
    loaded = with_a_column_more(spec_from(), clean, **LANG)
    result = planned(loaded, replace(clean, server_version="v2.3.5"))
    assert result.actions == ()
    (left,) = result.unfixable
    assert left.subject == "test/docs/field/lang"
    assert "Milvus v2.3.5, which can't add a field" in left.reason


def test_a_field_that_every_row_must_have_is_left_to_a_human(spec_from, clean):
    loaded = with_a_column_more(spec_from(), clean, **{**LANG, "nullable": False})
    result = planned(loaded, replace(clean, server_version="v2.6.4"))
    assert result.actions == ()
    assert [r.subject for r in result.unfixable] == ["test/docs/field/lang"]
