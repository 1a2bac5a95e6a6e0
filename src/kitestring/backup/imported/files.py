"""The files of a backup made by milvus-backup, found and checked against its metadata.

    binlogs/insert_log/<collection>/<partition>/[<group>/]<segment>/<field>/<log>
    binlogs/delta_log/<collection>/<partition>/[<group>/]<segment>/<log>

(zilliztech/milvus-backup, `core/storage/mpath/path.go`; versions from 0.3 on put a group between.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kitestring.backup.imported.meta import ALL_PARTITIONS, ForeignCollection, ForeignSegment
from kitestring.clients.store.protocol import ObjectInfo, ObjectReader, join
from kitestring.errors import ImportRefused
from kitestring.segments.layout import DELTA, INSERT, segment_prefix

BINLOGS = "binlogs"
_LONGEST = {INSERT: 6, DELTA: 5}  # ids of a key with a group
# (kind, collection, partition, segment, field and log or log alone)
_Place = tuple[str, int, int, int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file of the backup, and the key that it had below Milvus's root path."""

    info: ObjectInfo
    source: str


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """A segment with rows. `shared` are delete logs of L0 segments, which are for several."""

    segment: ForeignSegment
    insert: tuple[ForeignFile, ...]
    delta: tuple[ForeignFile, ...]
    shared: tuple[ForeignFile, ...]

    @property
    def files(self) -> tuple[ForeignFile, ...]:
        return self.insert + self.delta + self.shared


class Files:
    """What lies below `binlogs/`."""

    def __init__(self, store: ObjectReader) -> None:
        self._found: dict[_Place, ObjectInfo] = {}
        self._used: set[str] = set()
        for kind in (INSERT, DELTA):
            for info in store.list(f"{BINLOGS}/{kind}/"):
                place = _place(kind, info.key)
                if place is not None:
                    self._found[place] = info

    def plan(self, collection: ForeignCollection) -> list[SegmentPlan]:
        """The files of each segment of a collection that has rows.

        Raises:
            ImportRefused: one is missing or has another size; it is named.
        """
        shared = {
            (s.partition, s.id): tuple(self._delta(s))
            for s in collection.segments
            if s.deletes_only
        }
        plans = []
        for segment in collection.segments:
            if segment.deletes_only:
                continue
            applies = tuple(
                file
                for (partition, _), files in shared.items()
                if partition in (ALL_PARTITIONS, segment.partition)
                for file in files
            )
            insert, delta = tuple(self._insert(segment)), tuple(self._delta(segment))
            if insert:
                plans.append(SegmentPlan(segment, insert, delta, applies))
            elif segment.rows:
                raise ImportRefused(
                    f"the metadata say that the segment {segment.id} of `{collection.name}` has "
                    f"{segment.rows} rows, but name no file of it",
                    subject=str(segment.id),
                )
        return plans

    @property
    def unused(self) -> int:
        """Files that no segment of the plans has."""
        return sum(info.key not in self._used for info in self._found.values())

    def _insert(self, segment: ForeignSegment) -> Iterator[ForeignFile]:
        for (field, log), size in sorted(segment.insert.items()):
            yield self._file(INSERT, segment, (field, log), size)

    def _delta(self, segment: ForeignSegment) -> Iterator[ForeignFile]:
        for log, size in sorted(segment.delta.items()):
            yield self._file(DELTA, segment, (log,), size)

    def _file(
        self, kind: str, segment: ForeignSegment, rest: tuple[int, ...], size: int
    ) -> ForeignFile:
        ids = (segment.collection, segment.partition, segment.id)
        source = join(segment_prefix(kind, *ids), *map(str, rest))
        info = self._found.get((kind, *ids, rest))
        if info is None:
            raise ImportRefused(
                f"{BINLOGS}/{source} is missing: the metadata name it",
                hint="the backup is damaged, or was not copied whole",
                subject=source,
            )
        if size and info.size != size:
            raise ImportRefused(
                f"{info.key} has {info.size} bytes; the metadata say {size}",
                hint="the backup is damaged, or was not copied whole",
                subject=info.key,
            )
        self._used.add(info.key)
        return ForeignFile(info, source)


def shared_source(file: ForeignFile, segment: ForeignSegment) -> str:
    """The key that a shared delete log gets with the rows of a segment."""
    place = segment_prefix(DELTA, segment.collection, segment.partition, segment.id)
    return f"{place}/{file.source.rpartition('/')[2]}"


def _place(kind: str, key: str) -> _Place | None:
    """What the parts of a key mean; None for what is no log."""
    parts = key.split("/")[2:]
    if not all(p.isdecimal() or p == str(ALL_PARTITIONS) for p in parts):
        return None
    ids = [int(part) for part in parts]
    if len(ids) == _LONGEST[kind]:
        del ids[2]  # the group
    if len(ids) != _LONGEST[kind] - 1:
        return None
    return kind, ids[0], ids[1], ids[2], tuple(ids[3:])


def sources_of(plans: Mapping[str, list[SegmentPlan]]) -> list[ForeignFile]:
    """Each file of the plans once."""
    found = {f.info.key: f for of in plans.values() for plan in of for f in plan.files}
    return [found[key] for key in sorted(found)]
