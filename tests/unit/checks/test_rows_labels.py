"""Rows against the ledger, and the labels that rows carry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.model.evidence import Evidence
from kitestring.model.snapshot import Tally

ROW_CHECKS = [c.id for c in BY_ID.values() if c.info.evidence is Evidence.ROWS]


def run(check, loaded, snapshot):
    return list(BY_ID[check].run(loaded, snapshot))


def test_clean(spec_from, clean):
    assert len(ROW_CHECKS) == 10
    for check in ROW_CHECKS:
        assert run(check, spec_from(), clean) == []


@pytest.mark.parametrize("kind", ["missing", "orphan", "stale", "duplicate"])
def test_each_kind_is_told_by_its_check_alone(spec_from, with_docs, kind):
    snapshot = with_docs(census={kind: Tally(1234, ("a", "b"))})
    told = [f for check in ROW_CHECKS for f in run(check, spec_from(), snapshot)]
    assert [(f.check, f.severity, f.subject, f.expected, f.observed) for f in told] == [
        (f"rows.{kind}", "fail", "test/docs", "0 rows", "1,234 rows")
    ]
    assert "for example a, b" in told[0].message
    assert told[0].location.line == 8


def test_copies_of_a_passage_warn(spec_from, with_docs):
    snapshot = with_docs(census={"duplicate_content": Tally(7, ("a", "b"))})
    told = [f for check in ROW_CHECKS for f in run(check, spec_from(), snapshot)]
    assert [(f.check, f.severity, f.observed) for f in told] == [
        ("rows.duplicate-content", "warn", "7 rows")
    ]
    assert "for example a, b" in told[0].message
    clean = with_docs(census={"duplicate_content": Tally()})
    assert not [f for check in ROW_CHECKS for f in run(check, spec_from(), clean)]


def test_documents_that_ingestion_did_not_finish(spec_from, with_docs):
    def told(snapshot):
        return [f for check in ROW_CHECKS for f in run(check, spec_from(), snapshot)]

    begun = with_docs(census={"unfinished": Tally(2, ("a.md", "b.md"))})
    parked = replace(with_docs(census={}), dead_letters={"docs": 1})
    both = replace(begun, dead_letters={"docs": 1})
    for snapshot, severity, observed in (
        (begun, "fail", "2 documents"),
        (both, "fail", "2 documents"),
        (parked, "warn", "1 dead letter"),
    ):
        assert [(f.check, f.severity, f.observed) for f in told(snapshot)] == [
            ("rows.unfinished", severity, observed)
        ]
    assert "for example a.md, b.md" in told(begun)[0].message
    assert "docs.jsonl" in told(parked)[0].hint
    assert not told(replace(with_docs(census={}), dead_letters={"other": 9}))


def test_a_scan_that_was_not_complete_proves_nothing_missing(spec_from, with_docs):
    snapshot = with_docs(
        census={
            "complete": False,
            "reason": "the server went away",
            "missing": Tally(9, ("a",)),
            "orphan": Tally(1, ("o",)),
        }
    )
    told = [f for check in ROW_CHECKS for f in run(check, spec_from(), snapshot)]
    assert [(f.check, f.inconclusive) for f in told] == [
        ("rows.scan", True),
        ("rows.orphan", False),
    ]
    assert "the server went away" in told[0].message


def test_rows_that_were_not_scanned(spec_from, with_docs):
    told = [f for c in ROW_CHECKS for f in run(c, spec_from(), with_docs(census=None))]
    assert [(f.check, f.inconclusive) for f in told] == [("rows.scan", True)]


def test_no_ledger(spec_from, with_docs):
    snapshot = with_docs(census={"ledger_rows": None})
    told = [f for check in ROW_CHECKS for f in run(check, spec_from(), snapshot)]
    assert [(f.check, f.inconclusive) for f in told] == [("ledger.absent", True)]
    assert told[0].location.line == 4


@pytest.mark.parametrize(
    ("check", "labels", "expected", "observed", "example"),
    [
        (
            "embedding.model-mismatch",
            {
                "models": {"words@1": 2990, "other@2": 9, "": 1},
                "model_examples": {"other@2": ("k1", "k2"), "": ("k9",)},
            },
            "words@1",
            "words@1: 2,990 rows; other@2: 9 rows; (no label): 1 row",
            "10 rows made by another model, for example k1, k2, k9",
        ),
        (
            "chunking.mismatch",
            {"chunkers": {"fixed/500/0/1": 3000}, "chunker_examples": {"fixed/500/0/1": ("k3",)}},
            "fixed/200/0/1",
            "fixed/500/0/1: 3,000 rows",
            "3,000 rows made by another chunker, for example k3",
        ),
    ],
)
def test_labels(spec_from, with_docs, check, labels, expected, observed, example):
    told = [f for c in ROW_CHECKS for f in run(c, spec_from(), with_docs(census=labels))]
    assert [(f.check, f.severity, f.expected, f.observed, f.message) for f in told] == [
        (check, "fail", expected, observed, example)
    ]


def test_labels_count_in_a_scan_that_was_not_complete(spec_from, with_docs):
    census = {"complete": False, "models": {"other@2": 1}}
    (finding,) = run("embedding.model-mismatch", spec_from(), with_docs(census=census))
    assert not finding.inconclusive


@pytest.mark.parametrize(
    ("role", "check"),
    [
        ("embedding_model", "embedding.model-mismatch"),
        ("chunker", "chunking.mismatch"),
        ("content_hash", "rows.stale"),
    ],
)
def test_a_role_that_no_field_plays_is_inconclusive(spec_from, clean, role, check):
    loaded = spec_from(("    aliases:", f"    fields: {{{role}: none}}\n    aliases:"))
    told = [f for c in ROW_CHECKS for f in run(c, loaded, clean)]
    assert [(f.check, f.inconclusive) for f in told] == [(check, True)]
    assert f"fields.{role}" in told[0].hint
    assert told[0].location.line == 18


def test_a_field_that_the_server_does_not_have(spec_from, with_docs):
    snapshot = with_docs(census={"models": None, "chunkers": None})
    told = [f for c in ROW_CHECKS for f in run(c, spec_from(), snapshot)]
    assert [(f.check, f.inconclusive) for f in told] == [
        ("embedding.model-mismatch", True),
        ("chunking.mismatch", True),
    ]


def test_labels_that_were_not_read_are_no_fault_of_the_spec(spec_from, with_docs):
    unread = {"complete": False, "reason": "not loaded", "models": None, "chunkers": None}
    told = [f for c in ROW_CHECKS for f in run(c, spec_from(), with_docs(census=unread))]
    assert [(f.check, f.inconclusive) for f in told] == [("rows.scan", True)]


def test_without_chunking_nothing_is_expected_of_the_chunker(spec_from, with_docs):
    loaded = spec_from(("    chunking: {strategy: fixed, size: 200, overlap: 0, version: 1}\n", ""))
    assert run("chunking.mismatch", loaded, with_docs(census={"chunkers": {"x": 1}})) == []
