"""Plans the reading of a collection's segments, and reads the parts of a plan.

A plan is a tuple of parts, one for each segment with rows. A part is a plain value: it can be
sent to another process or machine, and read there with a store opened there. The rows of all
parts together are the rows of the collection; no row is in two of them.

    parts = plan_live(store, root, info, milvus.segments(name), until=flushed.until << 18)
    for part in parts:                       # or one process for each, in any order
        for batch in read_part(store, part, ["id", "embedding"]):
            …

The same for a physical backup, with `plan_backup` and a `PoolReader` in place of the store.
Timestamps are Milvus's: ms since the epoch << 18.

What the API hides and the files still hold: rows older than `collection.ttl.seconds`, and the
earlier ones of rows that were inserted twice with one key (the API shows one of them).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import SegmentUnreadable
from kitestring.model.arrow import arrow_type
from kitestring.model.backup import CollectionBackup
from kitestring.model.collection import CollectionInfo, Schema, Segment
from kitestring.segments.deltas import DeltaLogs
from kitestring.segments.layout import (
    ALL_PARTITIONS,
    DELTA,
    INSERT,
    SegmentFiles,
    SegmentRef,
    backed_up_files,
    segment_files,
)
from kitestring.segments.rows import segment_rows

FLUSHED = "Flushed"
L0 = "L0"
_KNOWN_STORAGE = 2


@dataclass(frozen=True, slots=True)
class Part:
    """One segment of a plan."""

    ref: SegmentRef
    schema: Schema
    insert: tuple[tuple[int, tuple[str, ...]], ...]  # field or column group -> keys, in order
    deltas: tuple[str, ...]  # keys of the delta logs that may delete rows: its own, and L0 ones
    rows: int | None  # in its insert logs, deleted ones too; None where nobody has said so
    bytes: int  # of its insert logs as stored: compressed, all columns
    until: int | None  # rows and deletes after it are left out

    @property
    def partition_id(self) -> int:
        return self.ref.partition


def plan_live(
    store: ObjectReader,
    root: str,
    info: CollectionInfo,
    segments: Iterable[Segment],
    *,
    until: int | None = None,
) -> tuple[Part, ...]:
    """The segments of a collection that a server has flushed.

    Args:
        root: Milvus's root path as a key prefix of the store; may be empty.
        segments: as `Milvus.segments` gives them; those that are not flushed are passed over, so
            flush first.
        until: rows and deletes after it are left out; None for none. Segments that compaction has
            made since then may lack rows that were deleted after it.

    Raises:
        SegmentUnreadable: a segment is of a kind that is not known, or has no files.
    """
    flushed = [s for s in segments if s.state == FLUSHED]
    for segment in flushed:
        refuse_unknown(segment)
    listed = [
        (s, segment_files(store, root, info.id, s.partition_id, s.id, (INSERT, DELTA)))
        for s in flushed
        if s.rows or s.level == L0
    ]
    known = {s.id: s.rows for s in flushed}
    files = {SegmentRef(info.id, s.partition_id, s.id): found for s, found in listed}
    return _plan(info.schema, files, known, until, {s.id for s in flushed if s.level == L0})


def plan_backup(collection: CollectionBackup, boundary: int) -> tuple[Part, ...]:
    """The segments of a collection of a physical backup.

    Args:
        boundary: the manifest's, in ms since the epoch.

    The keys are those below Milvus's root path: read the parts with a `PoolReader`.

    Raises:
        SegmentUnreadable: an object of the manifest is not that of a log.
    """
    files = {
        SegmentRef(collection.id, s.partition_id, s.id): backed_up_files(s, collection.id)
        for s in collection.segments
    }
    rows = {s.id: s.rows for s in collection.segments}
    level_zero = {s.id for s in collection.segments if not s.insert and s.delta}
    return _plan(collection.schema, files, rows, boundary << 18, level_zero)


def plan_files(
    schema: Schema,
    files: Mapping[SegmentRef, SegmentFiles],
    rows: Mapping[int, int],
    until: int | None,
) -> tuple[Part, ...]:
    """Segments whose files were listed before. `rows` is by segment id: as written, where known.

    Raises:
        SegmentUnreadable: a segment with rows has no insert logs.
    """
    level_zero = {r.segment for r, f in files.items() if not f.insert and f.delta}
    return _plan(schema, files, rows, until, level_zero)


def _plan(
    schema: Schema,
    files: Mapping[SegmentRef, SegmentFiles],
    rows: Mapping[int, int],
    until: int | None,
    level_zero: set[int],
) -> tuple[Part, ...]:
    shared = [(ref.partition, found) for ref, found in files.items() if ref.segment in level_zero]
    parts = []
    for ref, found in files.items():
        written = rows.get(ref.segment)
        if ref.segment in level_zero:
            if found.insert:
                raise SegmentUnreadable(
                    f"the L0 segment {ref} has insert logs, which is not known", subject=str(ref)
                )
            continue
        if not found.insert and not written:
            continue
        if not found.insert:
            raise SegmentUnreadable(
                f"the store has no insert logs of the segment {ref}",
                hint="is the root path of `storage` in the spec that of the Milvus server?",
                subject=str(ref),
            )
        # by key: a key's rows and deletes are always of one channel
        wide = [f for partition, f in shared if partition in (ref.partition, ALL_PARTITIONS)]
        parts.append(
            Part(
                ref=ref,
                schema=schema,
                insert=tuple(
                    (number, tuple(log.key for log in logs))
                    for number, logs in sorted(found.insert.items())
                ),
                deltas=tuple(log.key for each in (found, *wide) for log in each.delta),
                rows=written,
                bytes=sum(log.size for logs in found.insert.values() for log in logs),
                until=until,
            )
        )
    return tuple(parts)


def read_part(
    store: ObjectReader,
    part: Part,
    columns: Sequence[str] | None = None,
    *,
    until: int | None = None,
    deltas: DeltaLogs | None = None,
    stamps: bool = False,
    ahead: bool = True,
) -> Iterator[pa.RecordBatch]:
    """The rows of one part, a batch at a time; some ten MiB each.

    Args:
        columns: names, `$meta` among them; None for all.
        until: an earlier limit than the part's own.
        deltas: keeps what several parts share (L0 deletes); see `DeltaLogs`.
        stamps: a last column more, `TIMESTAMP.name`: when each row was written.
        ahead: fetch the next logs while these are used; not where several parts are at work.

    The batches' schema is that of `kitestring.model.arrow.arrow_schema`; a batch may be empty.

    Raises:
        SegmentUnreadable: a file is damaged or of a form that is not known; it is named. Some
            rows may have been given by then. ObjectMissing.
    """
    limits = [limit for limit in (part.until, until) if limit is not None]
    limit = min(limits, default=None)
    logs = deltas if deltas is not None else DeltaLogs(store)
    kind = arrow_type(part.schema.primary)
    return segment_rows(
        store,
        dict(part.insert),
        part.schema,
        part.ref,
        columns,
        deletes=logs.read(part.deltas, kind, limit),
        until=limit,
        written=part.rows,
        stamps=stamps,
        ahead=ahead,
    )


def read_parts(
    store: ObjectReader, parts: Iterable[Part], columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of several parts, one after the other.

    Raises:
        SegmentUnreadable, ObjectMissing: as `read_part`.
    """
    deltas = DeltaLogs(store)
    for part in parts:
        yield from read_part(store, part, columns, deltas=deltas)


def refuse_unknown(segment: Segment) -> None:
    """Raises SegmentUnreadable for a segment whose storage this reader does not know."""
    if segment.storage_version > _KNOWN_STORAGE:
        raise SegmentUnreadable(
            f"segment {segment.id} is of storage v{segment.storage_version}, which is not known",
            hint="read over the API",
            subject=str(segment.id),
        )
