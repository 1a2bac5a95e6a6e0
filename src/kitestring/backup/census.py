"""What the rows of a collection's backup come to, read segment by segment."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import BackupDamaged, BackupError
from kitestring.model.backup import CollectionBackup, RowDigest, SegmentBackup, SegmentRows
from kitestring.model.collection import Schema
from kitestring.model.digest import DigestBuilder, key_hashes
from kitestring.segments.columns import TIMESTAMP_FIELD
from kitestring.segments.deltas import DeltaLogs, parse_deletes
from kitestring.segments.layout import ALL_PARTITIONS, SegmentFiles, SegmentRef, backed_up_files
from kitestring.segments.plan import Part, read_part
from kitestring.segments.reader import system_column

_CANDIDATES = 2_000  # deleted keys that are looked at
_SAMPLE = 100  # deleted keys that are kept
_MASK = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class Census:
    """The rows of a collection at the boundary."""

    digest: RowDigest
    models: Mapping[str, int]  # embedding model label -> rows
    deleted_keys: tuple[str, ...]  # some that were deleted and did not come back
    segments: tuple[SegmentBackup, ...]  # with `settled`, where they are


class CensusTaker:
    """Reads the segments of one collection, in any order, several at a time; `result` adds them
    up.

    Args:
        boundary: ms since the epoch; later rows and deletes are left out.
        label: the field that names a row's embedding model; None where there is none.
        content: False to read keys, timestamps and labels only.
        deleted: keys that were deleted up to the boundary, perhaps written again since.
        level_zero: segments of the collection that hold deletes only, for the others.
        ahead: False where several are read at a time (see `read_part`).
    """

    def __init__(
        self,
        collection_id: int,
        schema: Schema,
        *,
        boundary: int,
        label: str | None = None,
        content: bool = True,
        deleted: Iterable[str | int] = (),
        level_zero: Sequence[SegmentBackup] = (),
        ahead: bool = True,
    ) -> None:
        self._level_zero, self._ahead = level_zero, ahead
        self._collection, self._schema = collection_id, schema
        self._until = boundary << 18
        self._label, self._content = label, content
        kind = pa.string() if schema.primary.type in ("VARCHAR", "STRING") else pa.int64()
        self._gone = pa.array(list(deleted), kind)
        self._digests: list[RowDigest] = []
        self._models: Counter[str] = Counter()
        self._guard = threading.Lock()

    def read(self, reader: ObjectReader, segment: SegmentBackup) -> SegmentBackup:
        """Reads one segment; returns it with `settled`, where it is.

        Args:
            reader: gives objects by their keys below Milvus's root path.

        Raises:
            BackupError: its logs do not hold as many rows as the server says it has.
            SegmentUnreadable, BackupDamaged, ObjectMissing.
        """
        ref = SegmentRef(self._collection, segment.partition_id, segment.id)
        files = backed_up_files(segment, self._collection)
        if not files.insert:
            return segment
        written, latest = rows_and_latest(reader, files, ref)
        if written != segment.rows:
            raise BackupError(
                f"the logs of the segment {ref} hold {written} rows, "
                f"but the server says it has {segment.rows}",
                hint="run the backup again; if it says the same, the server has lost a file",
                subject=str(ref),
            )
        deltas = DeltaLogs(reader)
        rows = self._rows(reader, self._part(files, ref, written), deltas)
        self.add(rows)
        for stored in segment.delta:
            latest = max(latest, int(deltas.get(stored.source).times.max(initial=0)))
        settled = latest <= self._until and not self._level_zero
        return replace(segment, settled=rows if settled else None)

    def _part(self, files: SegmentFiles, ref: SegmentRef, written: int) -> Part:
        wide = [
            o.source
            for s in self._level_zero if s.partition_id in (ref.partition, ALL_PARTITIONS)
            for o in s.delta
        ]  # fmt: skip
        return Part(
            ref=ref,
            schema=self._schema,
            insert=tuple(
                (number, tuple(log.key for log in logs))
                for number, logs in sorted(files.insert.items())
            ),
            deltas=(*(log.key for log in files.delta), *wide),
            rows=written,
            bytes=sum(log.size for logs in files.insert.values() for log in logs),
            until=self._until,
        )

    def add(self, rows: SegmentRows) -> None:
        """Counts what an earlier backup has read of a segment that is still the same."""
        with self._guard:
            self._digests.append(rows.digest)
            self._models.update(rows.models)

    def result(self, segments: Sequence[SegmentBackup]) -> Census:
        gone = tuple(sorted(map(str, self._gone.to_pylist()))[:_SAMPLE])
        models = dict(sorted(self._models.items()))
        return Census(sum_digests(self._digests), models, gone, tuple(segments))

    def _rows(self, reader: ObjectReader, part: Part, deltas: DeltaLogs) -> SegmentRows:
        primary = self._schema.primary.name
        columns = None
        if not self._content:
            columns = [primary, *([self._label] if self._label else [])]
        builder = DigestBuilder(primary)
        models: Counter[str] = Counter()
        for batch in read_part(reader, part, columns, deltas=deltas, ahead=self._ahead):
            keys = batch.column(primary)
            if self._content:
                builder.add(batch)
            else:
                hashes = key_hashes(keys)
                builder.add_hashes(hashes, np.zeros_like(hashes))
            if self._label is not None:
                models.update(_labels(batch, self._label))
            self._came_back(keys)
        digest = builder.result()
        if not self._content:
            digest = replace(digest, content="")
        return SegmentRows(digest, dict(sorted(models.items())), self._label or "")

    def _came_back(self, keys: pa.Array) -> None:
        gone = self._gone
        if not len(gone):
            return
        back = gone.filter(pc.is_in(gone, value_set=keys))
        if len(back):
            with self._guard:  # another segment may have found others meanwhile
                left = pc.invert(pc.is_in(self._gone, value_set=back))
                self._gone = self._gone.filter(left)


def take_census(
    reader: ObjectReader,
    collection_id: int,
    schema: Schema,
    segments: Sequence[SegmentBackup],
    *,
    boundary: int,
    label: str | None,
    content: bool = True,
    alive: Callable[[], None] = lambda: None,
) -> Census:
    """Reads every row of a backed-up collection.

    Args:
        alive: called before each segment. The others are those of `CensusTaker`, and so is what
            it raises.
    """
    deltas = [o.source for s in segments for o in s.delta]
    taker = CensusTaker(
        collection_id, schema, boundary=boundary, label=label, content=content,
        deleted=deleted_candidates(reader, deltas, until=boundary << 18),
        level_zero=[s for s in segments if not s.insert],
    )  # fmt: skip
    read = []
    for segment in segments:
        alive()
        read.append(taker.read(reader, segment))
    return taker.result(read)


def read_digest(reader: ObjectReader, backup: CollectionBackup, boundary: int) -> RowDigest:
    """The digest over the rows of a physical backup, content and all, read again.

    Raises:
        What `CensusTaker.read` raises.
    """
    return take_census(
        reader, backup.id, backup.schema, backup.segments, boundary=boundary, label=None
    ).digest


def check_census(reader: ObjectReader, backup: CollectionBackup, boundary: int) -> RowDigest:
    """Reads a backed-up collection again and compares it with its manifest.

    A manifest whose making read no more than keys has no digest of the content: its objects'
    checksums stand for that, and `reader` has checked them.

    Raises:
        BackupDamaged: it does not come to the same digest. And what `CensusTaker.read` raises.
    """
    found = read_digest(reader, backup, boundary)
    wanted = backup.digest
    if found != (wanted if wanted.content else replace(wanted, content=found.content)):
        raise BackupDamaged(
            f"the rows of `{backup.name}` are not those of its manifest: "
            f"{found.rows} rows read, {wanted.rows} backed up",
            subject=backup.name,
        )
    return found


def deleted_candidates(
    reader: ObjectReader, deltas: Iterable[str], *, until: int, since: int = -1
) -> list[str | int]:
    """Some of the keys that delta logs delete.

    Args:
        deltas: keys below Milvus's root path.
        since, until: timestamps of Milvus; deletes after the one and up to the other count.
    """
    found: dict[str | int, None] = {}
    for source in deltas:
        for key, timestamp in parse_deletes(reader.get(source), source):
            if since < timestamp <= until:
                found[key] = None
            if len(found) >= _CANDIDATES:
                return list(found)
    return list(found)


def rows_and_latest(reader: ObjectReader, files: SegmentFiles, ref: SegmentRef) -> tuple[int, int]:
    """How many rows a segment's logs hold, deleted ones too, and the timestamp of the last."""
    rows, latest = 0, 0
    for position in range(files.logs):
        times = system_column(reader, files, TIMESTAMP_FIELD, position, ref)
        rows += len(times)
        latest = max(latest, int(times.max(initial=0)))
    return rows, latest


def sum_digests(digests: Iterable[RowDigest]) -> RowDigest:
    """The digest over all rows of several sets; without content where one of them has none."""
    rows = keys = content = 0
    whole = True
    for digest in digests:
        rows += digest.rows
        keys += int(digest.keys, 16)
        whole = whole and bool(digest.content)
        content += int(digest.content or "0", 16)
    return RowDigest(rows, f"{keys & _MASK:032x}", f"{content & _MASK:032x}" if whole else "")


def _labels(batch: pa.RecordBatch, label: str) -> dict[str, int]:
    counts = batch.column(label).value_counts()
    values, sizes = counts.field("values").to_pylist(), counts.field("counts").to_pylist()
    return {str(v): n for v, n in zip(values, sizes, strict=True)}
