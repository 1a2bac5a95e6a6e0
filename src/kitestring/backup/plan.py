"""What a physical backup copies of a collection: which segments hold its rows at the boundary."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kitestring.backup.late import Placed, late_segments
from kitestring.backup.pool import Source
from kitestring.clients.milvus.protocol import Flushed, Milvus
from kitestring.clients.store.protocol import ObjectInfo
from kitestring.errors import BackupRefused, SegmentUnreadable
from kitestring.model.collection import CollectionInfo, Segment
from kitestring.segments.layout import SegmentRef, collection_files
from kitestring.segments.plan import L0, refuse_unknown

FLUSHED = "Flushed"
_TICK = 0.2  # seconds; the server's clock ticks every 50 ms
SKEW = 60_000  # ms that the server's clock and ours may differ by


@dataclass(frozen=True, slots=True)
class Before:
    """What there was of a collection just before the flush."""

    info: CollectionInfo
    segments: tuple[Segment, ...]
    placed: tuple[Placed, ...]  # all segments with files, dead ones too

    @property
    def sealed(self) -> list[ObjectInfo]:
        """Objects of segments that can't change any more: they can be copied at once."""
        ids = {s.id for s in self.segments if s.state == FLUSHED}
        return [o for p in self.placed if p.ref.segment in ids for o in p.files.all()]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be copied of one collection."""

    info: CollectionInfo
    segments: tuple[Placed, ...]
    rows: Mapping[int, int]  # segment id -> rows as written, where the server has said so

    @property
    def objects(self) -> list[ObjectInfo]:
        """Delta logs first: what they delete is looked for in the rest."""
        deltas = [o for p in self.segments for o in p.files.delta]
        names = {o.key for o in deltas}
        return deltas + [o for p in self.segments for o in p.files.all() if o.key not in names]


class SegmentsGoneError(Exception):
    """Files of a segment were collected before they could be copied."""


def look(milvus: Milvus, source: Source, name: str) -> Before:
    """What there is of a collection.

    Raises:
        BackupRefused: a segment's storage is not known, or the store does not hold the files.
    """
    info = milvus.describe(name)
    segments = tuple(milvus.segments(name))
    _refuse_unknown(info, segments)
    placed = _placed(source, info.id, segments)
    with_files = {p.ref.segment for p in placed}
    lost = [s for s in segments if s.state == FLUSHED and s.rows and s.id not in with_files]
    if lost:
        # it may have been flushed or compacted between the two questions
        placed = _placed(source, info.id, segments)
        with_files = {p.ref.segment for p in placed}
        live = {s.id for s in milvus.segments(name)}
        for segment in lost:
            if segment.id in live - with_files:
                raise _wrong_root(source, info.name, segment.id)
    return Before(info, segments, placed)


def before_flush() -> int:
    """Waits until what was acknowledged before the call is in a flush that follows; returns when
    that is (ms since the epoch), for `check_clock`."""
    time.sleep(_TICK)
    return now()


def check_clock(flushed: Flushed, asked: int) -> None:
    """Raises BackupRefused when the server's clock and ours differ: the age of the backup would
    be wrong. `asked` is when the flush was asked for, in ms since the epoch by our clock."""
    ahead = flushed.until - asked
    if abs(ahead) > SKEW:
        raise BackupRefused(
            f"the server's clock and this machine's differ by {ahead / 1000:.0f} s: the age "
            "of a backup would be wrong",
            hint="set both by NTP",
        )


def plan(milvus: Milvus, source: Source, before: Before, ids: Sequence[int], until: int) -> Plan:
    """The objects of the segments that hold the rows at the boundary.

    Those are the ones that the flush has named, also where compaction has replaced one since: the
    files of a replaced segment stay for hours, and deletes that came after the boundary may have
    taken rows from its replacement. And the late ones: see `backup.late`.

    Args:
        ids: of the segments that the flush has named.
        until: the boundary, in ms since the epoch.

    Raises:
        SegmentsGoneError, BackupRefused.
    """
    info = before.info
    live = {s.id: s for s in milvus.segments(info.name)}
    known = {s.id: s for s in before.segments} | live
    _refuse_unknown(info, known.values())
    found = {p.ref.segment: p for p in _placed(source, info.id, known.values())}
    for id_ in set(ids) - set(found):
        # a segment of the flush without files: that is right only for one without rows
        if (there := live.get(id_)) is not None and there.rows:
            raise _wrong_root(source, info.name, id_)
        if (gone := known.get(id_)) is not None and gone.rows:
            raise SegmentsGoneError(f"segment {id_} of {info.name}")
    # deletes in segments of their own are of any age: those of after the boundary don't count
    deletes = [p for id_, p in found.items() if id_ not in ids and not p.files.insert]
    named = [*(found[id_] for id_ in ids if id_ in found), *deletes]
    earlier = {p.ref.segment for p in before.placed}
    others = [
        p for id_, p in found.items()
        if p.files.insert and id_ not in earlier and id_ not in ids
    ]  # fmt: skip
    late = late_segments(source.store, named, others, until << 18)
    rows = {id_: s.rows for id_, s in known.items() if id_ in ids and s.state == FLUSHED}
    rows |= {p.ref.segment: 0 for p in named if not p.files.insert}
    return Plan(info, (*named, *late), rows)


def now() -> int:
    """ms since the epoch, by this machine's clock."""
    return int(time.time() * 1000)


def _placed(source: Source, collection: int, segments: Iterable[Segment]) -> tuple[Placed, ...]:
    """The segments that have files. One with delta logs only is none, unless it is of L0."""
    level_zero = {s.id for s in segments if s.level == L0}
    found = collection_files(source.store, source.root, collection)
    return tuple(
        Placed(SegmentRef(collection, partition, segment), files)
        for (partition, segment), files in found.items()
        if files.insert or (segment in level_zero and files.delta)
    )


def _refuse_unknown(info: CollectionInfo, segments: Iterable[Segment]) -> None:
    for segment in segments:
        try:
            refuse_unknown(segment)
        except SegmentUnreadable as error:
            raise BackupRefused(error.message, hint=error.hint, subject=info.name) from None


def _wrong_root(source: Source, name: str, segment: int) -> BackupRefused:
    return BackupRefused(
        f"segment {segment} of `{name}` is live, but it has no files below "
        f"{source.store.url}/{source.root}",
        hint="correct `storage` in the spec: the bucket and root path of the server",
        subject=name,
    )
