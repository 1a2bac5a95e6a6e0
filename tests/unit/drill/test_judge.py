"""Objectives: what was not measured is not met."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.drill.judge import judge, rto_seconds
from kitestring.model.drill import CollectionScore, Objective, Recall
from kitestring.spec.models import Objectives

WANTED = Objectives(rpo=3600.0, rto=60.0)
GOOD = CollectionScore("docs", 10, 10, True, True, 0, (), Recall(10, 40, 0.99, 0.97, 1.0, 0.9))


def by_name(objectives: tuple[Objective, ...]) -> dict[str, bool]:
    return {o.name: o.met for o in objectives}


def test_everything_met() -> None:
    found = judge(
        WANTED, rpo=10.0, rto=12.0, full=90.0, scores=[GOOD], expected=["docs"], searched=["docs"]
    )
    assert [o.name for o in found] == [
        "rpo",
        "rto",
        "recall of docs",
        "rows",
        "content",
        "deleted keys",
        "definitions",
    ]
    assert all(o.met for o in found)


@pytest.mark.parametrize(
    ("score", "missed"),
    [
        (
            replace(GOOD, rows_restored=9, keys_match=False, content_match=False),
            ["rows", "content"],
        ),
        (replace(GOOD, content_match=False), ["content"]),
        (replace(GOOD, deleted_present=1), ["deleted keys"]),
        (replace(GOOD, differences=("alias `a` is not restored",)), ["definitions"]),
        (replace(GOOD, recall=replace(GOOD.recall, mean=0.94)), ["recall of docs"]),
        (replace(GOOD, recall=None, recall_reason="no vector field"), ["recall of docs"]),
    ],
)
def test_each_fault_misses_its_own_objective(score: CollectionScore, missed: list[str]) -> None:
    found = judge(
        WANTED, rpo=10.0, rto=12.0, full=90.0, scores=[score], expected=["docs"], searched=["docs"]
    )
    assert [o.name for o in found if not o.met] == missed


def test_a_surplus_in_one_collection_does_not_hide_a_loss_in_another() -> None:
    scores = [
        replace(GOOD, name="a", rows_restored=9, keys_match=False),
        replace(GOOD, name="b", rows_restored=11, keys_match=False),
    ]
    assert not by_name(
        judge(None, rpo=1, rto=1, full=1, scores=scores, expected=["a", "b"], searched=["a", "b"])
    )["rows"]


def test_late_and_slow() -> None:
    found = by_name(
        judge(
            WANTED,
            rpo=3600.1,
            rto=60.1,
            full=61.0,
            scores=[GOOD],
            expected=["docs"],
            searched=["docs"],
        )
    )
    assert (found["rpo"], found["rto"]) == (False, False)
    edge = by_name(
        judge(
            WANTED,
            rpo=3600.0,
            rto=60.0,
            full=600.0,
            scores=[GOOD],
            expected=["docs"],
            searched=["docs"],
        )
    )
    assert (edge["rpo"], edge["rto"]) == (True, True)


def test_nothing_compared_is_nothing_met() -> None:
    found = by_name(
        judge(WANTED, rpo=1.0, rto=None, full=0.0, scores=[], expected=["docs"], searched=["docs"])
    )
    assert found == {
        "rpo": True,
        "rto": False,
        "rows": False,
        "content": False,
        "deleted keys": False,
        "definitions": False,
    }


def test_a_collection_that_was_not_compared_is_named() -> None:
    found = judge(
        None,
        rpo=1,
        rto=1,
        full=1,
        scores=[GOOD],
        expected=["docs", "other"],
        searched=["docs", "other"],
    )
    assert [o.met for o in found] == [False] * 4
    assert "other" in found[0].measured


def test_without_objectives_only_the_evidence_is_judged() -> None:
    found = judge(
        None, rpo=9e9, rto=9e9, full=9e9, scores=[GOOD], expected=["docs"], searched=["docs"]
    )
    assert [o.name for o in found] == ["rows", "content", "deleted keys", "definitions"]
    assert all(o.met for o in found)


def test_an_empty_collection_has_no_recall_to_miss() -> None:
    empty = CollectionScore("docs", 0, 0, True, True, 0, (), None, "no rows")
    assert all(
        o.met
        for o in judge(
            WANTED, rpo=1, rto=1, full=1, scores=[empty], expected=["docs"], searched=["docs"]
        )
    )


def test_a_collection_without_a_vector_index_has_no_recall_to_miss() -> None:
    bare = replace(GOOD, recall=None, recall_reason="no index on `v` in the backup")
    found = judge(WANTED, rpo=1, rto=1, full=1, scores=[bare], expected=["docs"], searched=[])
    assert all(o.met for o in found)
    unmeasured = judge(
        WANTED, rpo=1, rto=1, full=1, scores=[bare], expected=["docs"], searched=["docs"]
    )
    assert not by_name(unmeasured)["recall of docs"]


def test_the_start_of_the_target_is_no_part_of_the_rto() -> None:
    phases = {"target": 100.0, "copy": 1.0, "import": 2.0, "load": 3.0, "first_answer": 0.5}
    assert rto_seconds(phases) == 6.5


def test_an_index_that_is_built_while_the_copy_answers_is_no_part_of_the_rto() -> None:
    assert rto_seconds({"import": 2.0, "first_answer": 0.5, "index": 500.0}) == 2.5
    found = judge(WANTED, rpo=1, rto=20.0, full=900.0, scores=[GOOD], expected=["docs"],
                  searched=["docs"])  # fmt: skip
    rto = next(o for o in found if o.name == "rto")
    assert rto.met
    assert rto.measured == "20.0 s (indexes ready after 15 min)"


def test_a_sample_is_not_held_to_the_rto_of_the_whole() -> None:
    found = by_name(judge(WANTED, rpo=1, rto=9e9, full=9e9, scores=[GOOD], expected=["docs"],
                          searched=["docs"], sampled=True))  # fmt: skip
    assert "rto" not in found
    assert found["rows"]


def test_users_roles_and_grants_are_judged_where_they_were_compared() -> None:
    def access(differences: list[str] | None) -> Objective | None:
        found = judge(None, rpo=1, rto=1, full=1, scores=[GOOD], expected=["docs"],
                      searched=["docs"], access=differences)  # fmt: skip
        return next((o for o in found if o.name == "access"), None)

    assert access(None) is None
    assert (equal := access([])) is not None
    assert equal.met
    assert (lost := access(["role `r` is not restored"])) is not None
    assert (lost.met, lost.measured) == (False, "1 differ")


@pytest.mark.parametrize(("rpo", "met"), [(-30.0, True), (-7200.0, False)])
def test_a_boundary_in_the_future_meets_no_rpo(rpo: float, met: bool) -> None:
    found = judge(
        WANTED, rpo=rpo, rto=12.0, full=90.0, scores=[GOOD], expected=["docs"], searched=["docs"]
    )
    assert by_name(found)["rpo"] is met
    assert ("2 h in the future" in found[0].measured) is not met
