"""When a collection calls for compaction. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kitestring.model.collection import LoadedSegment, Segment
from kitestring.spec.models import CompactionPolicy
from kitestring.spec.window import within

FLUSHED = "Flushed"
GROWING = "Growing"


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What the policy looks at. `deleted` is None where it can't be known: not loaded."""

    segments: tuple[int, ...]  # ids of the flushed segments, ascending
    rows: int  # in the flushed segments, as written
    deleted: int | None  # rows written and since deleted or replaced

    @property
    def deleted_ratio(self) -> float | None:
        if self.deleted is None:
            return None
        return self.deleted / self.rows if self.rows else 0.0

    def __str__(self) -> str:
        deleted = "unknown" if self.deleted is None else str(self.deleted)
        noun = "segment" if len(self.segments) == 1 else "segments"
        return f"{len(self.segments)} {noun}, {self.rows} rows written, {deleted} deleted"

    def as_dict(self) -> dict[str, Any]:
        return {
            "segments": len(self.segments),
            "segment_ids": list(self.segments),
            "rows": self.rows,
            "deleted": self.deleted,
        }


@dataclass(frozen=True, slots=True)
class Left:
    """What an earlier compaction left: for the same again, a compaction would change nothing."""

    segments: tuple[int, ...]
    deleted: int  # rows; 0 where it was not known


@dataclass(frozen=True, slots=True)
class Need:
    """Whether a collection calls for compaction, and why (or why not)."""

    wanted: bool
    reason: str


def segment_facts(
    segments: Iterable[Segment], loaded: Iterable[LoadedSegment], count: int | None
) -> SegmentFacts:
    """The facts from what the server lists.

    Args:
        segments: the segments on disk, in any state.
        loaded: the segments in memory: rows that are not flushed yet are among those.
        count: `count(*)` at strong consistency; None where the collection is not loaded.

    `count` has the growing rows too, so these are added to what was written before the two are
    compared. A segment that is being handed over shows up on both sides and is taken once.
    """
    flushed = {s.id: s for s in segments if s.state == FLUSHED}
    rows = sum(s.rows for s in flushed.values())
    growing = sum(s.rows for s in loaded if s.state == GROWING and s.id not in flushed)
    # the server's own figures of growing rows lag behind its counts
    deleted = None if count is None else min(max(0, rows + growing - count), rows)
    return SegmentFacts(tuple(sorted(flushed)), rows, deleted)


def needs_compaction(policy: CompactionPolicy, facts: SegmentFacts, left: Left | None) -> Need:
    """Whether the policy calls for a compaction that could change something."""
    reasons = []
    if len(facts.segments) > policy.max_segments:
        reasons.append(f"{len(facts.segments)} segments, {policy.max_segments} allowed")
    ratio = facts.deleted_ratio
    if ratio is not None and ratio > policy.max_deleted_ratio:
        reasons.append(f"{ratio:.0%} of the rows deleted, {policy.max_deleted_ratio:.0%} allowed")
    if not reasons:
        return Need(False, "within the policy")
    why = " and ".join(reasons)
    if (
        left is not None
        and left.segments == facts.segments
        and (facts.deleted or 0) <= left.deleted
    ):
        return Need(False, f"{why}, but a compaction left just these segments")
    return Need(True, why)


def postponed(policy: CompactionPolicy, need: Need, now: str) -> Need:
    """The need, unless the time of day (`HH:MM`) is outside of the policy's window."""
    if policy.window is None or within(policy.window, now):
        return need
    return Need(False, f"{need.reason}, but {now} is outside of the window {policy.window}")
