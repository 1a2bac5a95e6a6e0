"""What the metadata of a backup made by milvus-backup say.

Its folder (zilliztech/milvus-backup, `core/proto/backup.proto` and `core/backup/meta_builder.go`,
versions 0.2 to 0.5) holds `meta/full_meta.json` and the same in levels: `backup_meta.json`,
`collection_meta.json`, `partition_meta.json`, `segment_meta.json`. Older versions leave databases,
aliases, properties and access out, newer ones the times of the whole. Fields that are empty are
not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kitestring.backup.imported.node import Node, parse
from kitestring.clients.store.protocol import ObjectReader, ObjectStore, join
from kitestring.errors import ImportRefused, ObjectMissing

ALL_PARTITIONS = -1
FULL = "full_meta.json"
LEVELS = ("backup_meta.json", "collection_meta.json", "partition_meta.json", "segment_meta.json")
_SUCCESS = (0, 2)  # newer versions write the metadata last, and no state
_STATES = {1: "still running", 3: "failed", 4: "timed out"}
_MILLISECONDS = 100_000_000_000  # a time that is larger is in ms, else in s


@dataclass(frozen=True, slots=True)
class ForeignSegment:
    """A segment by its ids; logs are (field id, log id) -> bytes, 0 where not recorded."""

    id: int
    collection: int
    partition: int  # ALL_PARTITIONS: deletes for every partition
    rows: int
    insert: Mapping[tuple[int, int], int]
    delta: Mapping[int, int]  # log id -> bytes
    deletes_only: bool = False  # an L0 segment


@dataclass(frozen=True, slots=True)
class ForeignCollection:
    """A collection; `node` is the whole entry, for what is read later."""

    id: int
    database: str
    name: str
    partitions: Mapping[int, str]
    segments: tuple[ForeignSegment, ...]
    sealed: int  # s since the epoch: what was written before is in; 0 where not recorded
    node: Node


@dataclass(frozen=True, slots=True)
class ForeignBackup:
    id: str
    name: str
    server_version: str
    started: int  # ms since the epoch; 0 where not recorded
    finished: int
    collections: tuple[ForeignCollection, ...]
    node: Node

    @property
    def origin(self) -> str:
        return " ".join(part for part in ("milvus-backup", self.name, self.id) if part)

    @property
    def databases(self) -> tuple[str, ...]:
        return tuple(sorted({c.database for c in self.collections}))


def read_meta(store: ObjectStore) -> ForeignBackup:
    """The metadata of the backup whose folder the store is.

    Raises:
        ImportRefused: a file is missing or damaged, two of them contradict each other, or the
            backup did not succeed.
    """
    full = _file(store, FULL)
    levels = {name: found for name in LEVELS if (found := _file(store, name)) is not None}
    if full is not None:
        root, collections = full, _nested(full, "collection_backups")
        _compare(collections, levels.get("segment_meta.json"))
    else:
        missing = [name for name in LEVELS if name not in levels]
        if missing:
            raise ImportRefused(
                f"{join('meta', missing[0])} is missing in {store.url}",
                hint="name the folder of one backup, which holds `meta/` and `binlogs/`; one "
                "without its metadata was never finished",
                subject=missing[0],
            )
        root, collections = levels["backup_meta.json"], _from_levels(levels)
    state = root.int("state_code")
    if state not in _SUCCESS:
        raise ImportRefused(
            f"{root.file}: the backup `{root.text('name')}` is "
            f"{_STATES.get(state, f'in the unknown state {state}')}",
            hint="import one that succeeded",
            subject=root.file,
        )
    if not collections:
        raise ImportRefused(f"{root.file} names no collection", subject=root.file)
    return ForeignBackup(
        id=root.text("id"),
        name=root.text("name"),
        server_version=root.text("milvus_version"),
        started=_in_ms(root.int("start_time")),
        finished=_in_ms(root.int("end_time")),
        collections=tuple(collections),
        node=root,
    )


def _in_ms(time: int) -> int:
    """Versions differ in the unit."""
    return time if time > _MILLISECONDS else time * 1000


def _file(store: ObjectReader, name: str) -> Node | None:
    key = join("meta", name)
    try:
        return parse(bytes(store.get(key)), key)
    except ObjectMissing:
        return None


def _nested(root: Node, name: str) -> list[ForeignCollection]:
    found = []
    for node in root.nodes(name):
        partitions = list(node.nodes("partition_backups"))
        segments = [s for p in partitions for s in p.nodes("segment_backups")]
        found.append(_collection(node, partitions, segments))
    return found


def _from_levels(levels: Mapping[str, Node]) -> list[ForeignCollection]:
    partitions = list(levels["partition_meta.json"].nodes("infos"))
    segments = list(levels["segment_meta.json"].nodes("infos"))
    found = []
    for node in levels["collection_meta.json"].nodes("infos"):
        id_ = node.int("collection_id")
        found.append(
            _collection(
                node,
                [p for p in partitions if p.int("collection_id") == id_],
                [s for s in segments if s.int("collection_id") == id_],
            )
        )
    known = {c.id for c in found}
    for segment in segments:
        if segment.int("collection_id") not in known:
            raise segment.wrong("collection_id", "a collection of collection_meta.json")
    return found


def _collection(
    node: Node, partitions: Iterable[Node], segments: Iterable[Node]
) -> ForeignCollection:
    if not node.text("collection_name") or not node.int("collection_id"):
        raise node.wrong("collection_name", "the name of a collection, with its id")
    names = {p.int("partition_id"): p.text("partition_name") for p in partitions}
    read = [_segment(s) for s in segments]
    for segment in read:
        if segment.partition not in names:
            raise ImportRefused(
                f"{node.file}: the segment {segment.id} is of the partition {segment.partition}, "
                f"which `{node.text('collection_name')}` does not have",
                subject=node.file,
            )
    read += [replace(_segment(s), deletes_only=True) for s in node.nodes("l0_segments")]
    sealed = node.int("backup_physical_timestamp")
    return ForeignCollection(
        id=node.int("collection_id"),
        database=node.text("db_name") or "default",
        name=node.text("collection_name"),
        partitions=names,
        segments=tuple(read),
        sealed=_in_ms(sealed) // 1000,
        node=node,
    )


def _segment(node: Node) -> ForeignSegment:
    insert: dict[tuple[int, int], int] = {}
    delta: dict[int, int] = {}
    for field in node.nodes("binlogs"):
        for log in field.nodes("binlogs"):
            insert[field.int("fieldID"), _log_id(log)] = log.int("log_size")
    for field in node.nodes("deltalogs"):
        for log in field.nodes("binlogs"):
            delta[_log_id(log)] = log.int("log_size")
    return ForeignSegment(
        node.int("segment_id"),
        node.int("collection_id"),
        node.int("partition_id"),
        node.int("num_of_rows"),
        insert,
        delta,
        node.flag("is_l0"),
    )


def _log_id(log: Node) -> int:
    number = log.int("log_id")
    if number:
        return number
    last = log.text("log_path").rstrip("/").rpartition("/")[2]
    if not last.isdecimal():
        raise log.wrong("log_path", "the path of a log")
    return int(last)


def _compare(collections: Iterable[ForeignCollection], level: Node | None) -> None:
    """The two descriptions of the segments have to be the same."""
    if level is None:
        return
    file = join("meta", FULL)
    read = {(s.collection, s.id): s for c in collections for s in c.segments}
    for node in level.nodes("infos"):
        other = _segment(node)
        same = read.get((other.collection, other.id))
        if same is None:
            raise ImportRefused(
                f"{level.file} has the segment {other.id}, {file} does not", subject=level.file
            )
        if same.rows != other.rows:
            raise ImportRefused(
                f"{level.file} says that the segment {other.id} has {other.rows} rows, {file} "
                f"that it has {same.rows}",
                hint="the metadata were changed after the backup was made",
                subject=level.file,
            )
