"""Where Milvus keeps the files of a segment: keys below its root path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from kitestring.clients.store.protocol import ObjectInfo, ObjectReader, join
from kitestring.errors import SegmentUnreadable

INSERT, DELTA, STATS = "insert_log", "delta_log", "stats_log"
KINDS = (INSERT, DELTA, STATS)


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """The objects of one segment, in the order in which the server wrote them."""

    insert: dict[int, list[ObjectInfo]] = field(default_factory=dict)  # field id -> logs
    delta: list[ObjectInfo] = field(default_factory=list)
    stats: list[ObjectInfo] = field(default_factory=list)

    def first(self, logs: int) -> SegmentFiles:
        """The same with only the first so many insert logs of each field."""
        insert = {field: found[:logs] for field, found in self.insert.items()}
        return SegmentFiles(insert, self.delta, self.stats)

    def all(self) -> list[ObjectInfo]:
        return [log for logs in self.insert.values() for log in logs] + self.delta + self.stats


def segment_prefix(kind: str, collection: int, partition: int, segment: int) -> str:
    """`insert_log/<collection>/<partition>/<segment>`, below the root path."""
    return f"{kind}/{collection}/{partition}/{segment}"


def segment_files(
    store: ObjectReader, root: str, collection: int, partition: int, segment: int
) -> SegmentFiles:
    """Lists one segment.

    Raises:
        SegmentUnreadable: a key below its prefixes is not that of a log.
    """
    found = SegmentFiles()
    for kind in KINDS:
        prefix = join(root, segment_prefix(kind, collection, partition, segment)) + "/"
        _sort_in(found, kind, len(prefix), store.list(prefix))
    return found


def segment_ids(store: ObjectReader, root: str, collection: int) -> set[int]:
    """The ids of all segments of a collection that have insert logs, dead ones too."""
    prefix = join(root, INSERT, str(collection)) + "/"
    parts = (log.key[len(prefix) :].split("/") for log in store.list(prefix))
    return {int(part[1]) for part in parts if len(part) > 1 and part[1].isdecimal()}


def collection_files(
    store: ObjectReader, root: str, collection: int
) -> dict[tuple[int, int], SegmentFiles]:
    """Lists all segments of a collection, dead ones too, in three listings; the keys are
    partition and segment id.

    Raises:
        SegmentUnreadable: a key below its prefixes is not that of a log.
    """
    found: dict[tuple[int, int], SegmentFiles] = defaultdict(SegmentFiles)
    for kind in KINDS:
        prefix = join(root, kind, str(collection)) + "/"
        for log in store.list(prefix):
            parts = log.key[len(prefix) :].split("/")
            if len(parts) < 3 or not all(p.isdecimal() for p in parts[:2]):
                raise _strange(log.key)
            files = found[int(parts[0]), int(parts[1])]
            _sort_in(files, kind, len(prefix) + len(parts[0]) + len(parts[1]) + 2, [log])
    for files in found.values():
        for logs in (*files.insert.values(), files.delta):
            logs.sort(key=_log_id)
    return dict(found)


def _sort_in(files: SegmentFiles, kind: str, skip: int, logs: Iterable[ObjectInfo]) -> None:
    for log in logs:
        parts = log.key[skip:].split("/")
        if not all(part.isdecimal() for part in parts) or len(parts) != (1 if kind == DELTA else 2):
            raise _strange(log.key)
        if kind == DELTA:
            files.delta.append(log)
        elif kind == STATS:
            files.stats.append(log)
        else:
            files.insert.setdefault(int(parts[0]), []).append(log)
    for ordered in (*files.insert.values(), files.delta):
        ordered.sort(key=_log_id)


def _log_id(log: ObjectInfo) -> int:
    return int(log.key.rpartition("/")[2])


def _strange(key: str) -> SegmentUnreadable:
    return SegmentUnreadable(
        f"`{key}` is not where a segment's log stands",
        hint="is the root path of `storage` in the spec that of the Milvus server?",
        subject=key,
    )
