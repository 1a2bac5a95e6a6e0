"""The policy of compaction, and that the same segments are not compacted twice."""

from __future__ import annotations

import json

import pytest

from kitestring.clients.exclusive import exclusive
from kitestring.enforce import compaction
from kitestring.enforce.compaction import as_actions, compact
from kitestring.enforce.policy import (
    Left,
    SegmentFacts,
    needs_compaction,
    segment_facts,
)
from kitestring.errors import CollectionNotFound, EnforceBusy, EnforceError
from kitestring.model.collection import LoadedSegment, Segment
from kitestring.spec.models import CompactionPolicy

POLICY = CompactionPolicy(max_segments=3, max_deleted_ratio=0.2)


def segments(*rows: int, state: str = "Flushed", first: int = 1) -> list[Segment]:
    return [Segment(first + n, 1, r, state) for n, r in enumerate(rows)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(compaction, "POLL", 0.0)


@pytest.fixture
def spec(spec_from):
    policy = "storage: {type: local, path: milvus}\nday2: {compaction: {max_segments: 3}}"
    return spec_from(("storage: {type: local, path: milvus}", policy))


@pytest.mark.parametrize(
    ("disk", "growing", "count", "deleted"),
    [
        (segments(100, 100), [], 200, 0),
        (segments(100, 100), [], 150, 50),
        (segments(100), [LoadedSegment(9, 40, "Growing", "", 0, (1,))], 130, 10),
        # handed over: growing in memory, flushed on disk
        (segments(100), [LoadedSegment(1, 100, "Growing", "", 0, (1,))], 90, 10),
        # rows that are not flushed and not reported yet are no negative deletes
        (segments(100), [], 140, 0),
        (segments(100) + segments(50, state="Growing", first=5), [], 100, 0),
        (segments(100), [], None, None),
        ([], [], 0, 0),
    ],
)
def test_deleted_rows(disk, growing, count, deleted):
    assert segment_facts(disk, growing, count).deleted == deleted


@pytest.mark.parametrize(
    ("facts", "left", "wanted", "reason"),
    [
        (SegmentFacts((1, 2, 3), 100, 20), None, False, "within the policy"),
        (SegmentFacts((1, 2, 3, 4), 100, 0), None, True, "4 segments, 3 allowed"),
        (SegmentFacts((1,), 100, 21), None, True, "21% of the rows deleted, 20% allowed"),
        (SegmentFacts((1,), 100, None), None, False, "within the policy"),
        (SegmentFacts((), 0, 0), None, False, "within the policy"),
        (SegmentFacts((1, 2, 3, 4), 100, 0), Left((1, 2, 3, 4), 0), False, "left just these"),
        (SegmentFacts((1, 2, 3, 5), 100, 0), Left((1, 2, 3, 4), 0), True, "4 segments"),
        (SegmentFacts((1,), 100, 30), Left((1,), 25), True, "30% of the rows deleted"),
        (SegmentFacts((1,), 100, 25), Left((1,), 25), False, "left just these"),
    ],
)
def test_policy(facts, left, wanted, reason):
    need = needs_compaction(POLICY, facts, left)
    assert need.wanted is wanted
    assert reason in need.reason


def server_with(memory, clean, **options):
    return memory({"docs": clean.collections["docs"].info}, **options)


def test_it_compacts_once_and_tells_before_and_after(spec, clean, memory):
    server = server_with(
        memory,
        clean,
        disk=segments(10, 10, 10, 10),
        rows=40,
        compacts_to=segments(40, first=9),
    )
    first = compact(spec, server)
    (action,) = as_actions(spec, first)
    assert (action.before, action.after) == (
        "4 segments, 40 rows written, 0 deleted",
        "1 segment, 40 rows written, 0 deleted",
    )
    second = compact(spec, server)
    assert [r.ran for r in (*first, *second)] == [True, False]
    assert server.calls == ["compact docs"]


def test_one_that_changes_nothing_is_not_tried_again(spec, clean, memory):
    server = server_with(memory, clean, disk=segments(10, 10, 10, 10), rows=40)
    (first,) = compact(spec, server)
    assert (first.ran, first.changed) == (True, False)
    assert as_actions(spec, [first]) == []
    (second,) = compact(spec, server)
    assert not second.ran
    server.disk = segments(10, 10, 10, 10, 10)
    (third,) = compact(spec, server)
    assert third.ran


def test_a_dry_run_changes_and_writes_nothing(spec, clean, memory):
    server = server_with(memory, clean, disk=segments(10, 10, 10, 10), rows=40)
    results = compact(spec, server, dry_run=True)
    assert [a.kind for a in as_actions(spec, results)] == ["compact"]
    assert server.calls == []
    assert not spec.state_dir.exists()


def test_force(spec, clean, memory):
    server = server_with(memory, clean, disk=segments(10), rows=10)
    (result,) = compact(spec, server, force=True)
    assert result.ran


def test_a_damaged_memory_only_costs_one_more_compaction(spec, clean, memory):
    server = server_with(memory, clean, disk=segments(10, 10, 10, 10), rows=40)
    compact(spec, server)
    remembered = spec.state_dir / "compaction.json"
    assert json.loads(remembered.read_text())["test/docs"]["segments"] == [1, 2, 3, 4]
    for damage in ("", "[1]", '{"test/docs": 3}', "{"):
        remembered.write_text(damage)
        (again,) = compact(spec, server)
        assert again.ran


def test_collections_that_are_not_there(spec, clean, memory):
    assert compact(spec, memory()) == []
    with pytest.raises(CollectionNotFound, match="the spec has no collection `nothing`"):
        compact(spec, memory(), collections=["nothing"])


def test_only_one_at_a_time(spec, clean, memory):
    server = server_with(memory, clean, disk=segments(10, 10, 10, 10), rows=40)
    with (
        exclusive(spec.state_dir / "compaction.lock", "compaction"),
        pytest.raises(EnforceBusy, match="another compaction"),
    ):
        compact(spec, server)
    assert server.calls == []
    assert compact(spec, server)[0].ran


def test_a_state_directory_that_cannot_be_written(spec, clean, memory):
    spec.state_dir.parent.joinpath("state").write_text("a file is in the way")
    with pytest.raises(EnforceError, match="can't be written"):
        compact(spec, server_with(memory, clean))
