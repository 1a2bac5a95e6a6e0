"""What a user reads of enforcement, and the exit code."""

from __future__ import annotations

import pytest

from kitestring.enforce.compaction import Compaction
from kitestring.enforce.plan import Refusal
from kitestring.enforce.policy import Need, SegmentFacts
from kitestring.enforce.reconcile import Reconciliation
from kitestring.enforce.show import compaction_lines, reconciliation_lines
from kitestring.model.action import Action
from kitestring.model.finding import Severity

LOAD = Action("load", "c/docs", "the collection is not loaded", "not loaded", "loaded")
GRAVE = Refusal("schema.drift", "c/docs/field/x", "a reason")
LIGHT = Refusal("alias.drift", "c/docs/alias/y", "a reason", Severity.WARN)


@pytest.mark.parametrize(
    ("result", "code", "last"),
    [
        (Reconciliation((), (), (), False), 0, "as the spec says: nothing to do"),
        (Reconciliation((LOAD,), (LOAD,), (), False), 0, "1 step taken"),
        (Reconciliation((LOAD,), (), (), True), 2, "1 step would be taken"),
        (Reconciliation((LOAD,), (LOAD,), (GRAVE,), False), 2, "1 step taken"),
        (Reconciliation((), (), (LIGHT,), False), 0, "  a reason"),
    ],
)
def test_reconciliation(result, code, last):
    assert result.exit_code == code
    assert list(reconciliation_lines(result))[-1] == last


def test_a_step_shows_before_and_after():
    lines = list(reconciliation_lines(Reconciliation((LOAD,), (LOAD,), (), False)))
    assert lines[:3] == [
        "load c/docs: the collection is not loaded",
        "  - not loaded",
        "  + loaded",
    ]


FOUR, ONE = SegmentFacts((1, 2, 3, 4), 40, 0), SegmentFacts((9,), 40, 0)
WANTED = Need(True, "4 segments, 3 allowed")


@pytest.mark.parametrize(
    ("result", "dry_run", "first"),
    [
        (Compaction("docs", WANTED, FOUR, FOUR), True, "docs: would be compacted"),
        (Compaction("docs", WANTED, FOUR, ONE, True, 3.0), False, "docs: compacted in 3.0 s"),
        (Compaction("docs", WANTED, FOUR, FOUR, True, 3.0), False, "docs: compacted, which chang"),
        (Compaction("docs", Need(False, "within the policy"), ONE, ONE), False, "docs: within"),
    ],
)
def test_compaction(result, dry_run, first):
    assert next(iter(compaction_lines([result], dry_run=dry_run))).startswith(first)
