"""Where Milvus keeps the files of a segment: keys below its root path.

    insert_log/<collection>/<partition>/<segment>/<field>/<log>           storage v1
    insert_log/<collection>/<partition>/<segment>/<column group>/<log>    storage v2
    delta_log/<collection>/<partition>/<segment>/<log>

An L0 segment (2.4 and later) has delta logs only; its partition may be -1, which means all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kitestring.clients.store.protocol import ObjectInfo, ObjectReader, join
from kitestring.errors import SegmentUnreadable
from kitestring.model.backup import SegmentBackup

INSERT, DELTA, STATS = "insert_log", "delta_log", "stats_log"
KINDS = (INSERT, DELTA, STATS)
ALL_PARTITIONS = -1  # the partition of an L0 segment whose deletes are for all of them


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """Which segment: the ids that stand in its keys."""

    collection: int
    partition: int
    segment: int

    def __str__(self) -> str:
        return f"{self.collection}/{self.partition}/{self.segment}"


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """The objects of one segment, in the order in which the server wrote them."""

    # field id (storage v1) or column group (v2) -> logs
    insert: dict[int, list[ObjectInfo]] = field(default_factory=dict)
    delta: list[ObjectInfo] = field(default_factory=list)
    stats: list[ObjectInfo] = field(default_factory=list)

    @property
    def logs(self) -> int:
        """How many insert logs each field or column group has that the segment began with."""
        return max((len(found) for found in self.insert.values()), default=0)

    def first(self, logs: int) -> SegmentFiles:
        """The same with only the first so many insert logs of each field; a field that was added
        to the collection later has none of the first ones."""
        late = {field: self.logs - len(found) for field, found in self.insert.items()}
        insert = {
            field: found[: max(0, logs - late[field])] for field, found in self.insert.items()
        }
        return SegmentFiles(insert, self.delta, self.stats)

    def all(self) -> list[ObjectInfo]:
        return [log for logs in self.insert.values() for log in logs] + self.delta + self.stats


def segment_prefix(kind: str, collection: int, partition: int, segment: int) -> str:
    """`insert_log/<collection>/<partition>/<segment>`, below the root path."""
    return f"{kind}/{collection}/{partition}/{segment}"


def segment_files(
    store: ObjectReader,
    root: str,
    collection: int,
    partition: int,
    segment: int,
    kinds: Sequence[str] = KINDS,
) -> SegmentFiles:
    """Lists one segment.

    Raises:
        SegmentUnreadable: a key below its prefixes is not that of a log.
    """
    found = SegmentFiles()
    for kind in kinds:
        prefix = join(root, segment_prefix(kind, collection, partition, segment)) + "/"
        _sort_in(found, kind, len(prefix), store.list(prefix))
    _order(found)
    return found


def backed_up_files(segment: SegmentBackup, collection: int) -> SegmentFiles:
    """The same from a manifest; the keys are those below Milvus's root path.

    Raises:
        SegmentUnreadable: an object is not that of a log of the segment.
    """
    found = SegmentFiles()
    for kind, objects in ((INSERT, segment.insert), (DELTA, segment.delta)):
        prefix = segment_prefix(kind, collection, segment.partition_id, segment.id) + "/"
        for stored in objects:
            if not stored.source.startswith(prefix):
                raise _strange(stored.source)
        logs = (ObjectInfo(stored.source, stored.size, 0) for stored in objects)
        _sort_in(found, kind, len(prefix), logs)
    _order(found)
    return found


def segment_ids(store: ObjectReader, root: str, collection: int) -> set[int]:
    """The ids of all segments of a collection that have insert logs, dead ones too."""
    prefix = join(root, INSERT, str(collection)) + "/"
    parts = (log.key[len(prefix) :].split("/") for log in store.list(prefix))
    return {int(part[1]) for part in parts if len(part) > 1 and part[1].isdecimal()}


def collection_files(
    store: ObjectReader, root: str, collection: int, kinds: Sequence[str] = KINDS
) -> dict[tuple[int, int], SegmentFiles]:
    """Lists all segments of a collection, dead ones too, in a listing for each kind; the keys are
    partition (-1: all, of an L0 segment) and segment id.

    Raises:
        SegmentUnreadable: a key below its prefixes is not that of a log.
    """
    found: dict[tuple[int, int], SegmentFiles] = defaultdict(SegmentFiles)
    for kind in kinds:
        prefix = join(root, kind, str(collection)) + "/"
        for log in store.list(prefix):
            parts = log.key[len(prefix) :].split("/")
            if len(parts) < 3 or not _number(parts[0], negative=True) or not _number(parts[1]):
                raise _strange(log.key)
            files = found[int(parts[0]), int(parts[1])]
            _sort_in(files, kind, len(prefix) + len(parts[0]) + len(parts[1]) + 2, [log])
    for files in found.values():
        _order(files)
    return dict(found)


def log_id(key: str) -> int:
    """The id of a log: within a segment, in the order in which they were written."""
    return int(key.rpartition("/")[2])


def _sort_in(files: SegmentFiles, kind: str, skip: int, logs: Iterable[ObjectInfo]) -> None:
    for log in logs:
        parts = log.key[skip:].split("/")
        if not all(map(_number, parts)) or len(parts) != (1 if kind == DELTA else 2):
            raise _strange(log.key)
        if kind == DELTA:
            files.delta.append(log)
        elif kind == STATS:
            files.stats.append(log)
        else:
            files.insert.setdefault(int(parts[0]), []).append(log)


def _order(files: SegmentFiles) -> None:
    for logs in (*files.insert.values(), files.delta):
        logs.sort(key=lambda log: log_id(log.key))


def _number(part: str, *, negative: bool = False) -> bool:
    return (part.isdecimal() and part.isascii()) or (negative and part == str(ALL_PARTITIONS))


def _strange(key: str) -> SegmentUnreadable:
    if any(part.startswith("_") for part in key.split("/")):
        return SegmentUnreadable(
            f"`{key}` is of a segment with a manifest (storage v3), which is not known",
            hint="read over the API",
            subject=key,
        )
    return SegmentUnreadable(
        f"`{key}` is not where a segment's log stands",
        hint="is the root path of `storage` in the spec that of the Milvus server?",
        subject=key,
    )
