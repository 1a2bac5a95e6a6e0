"""What the rows of a collection's backup come to, read from the pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import BackupDamaged, BackupError
from kitestring.model.backup import CollectionBackup, RowDigest, SegmentBackup
from kitestring.model.collection import Schema
from kitestring.model.digest import DigestBuilder
from kitestring.segments.deltas import parse_deletes
from kitestring.segments.layout import segment_files
from kitestring.segments.reader import SegmentRef, read_files, rows_written

_CANDIDATES = 2_000  # deleted keys that are looked at
_SAMPLE = 100  # deleted keys that are kept


@dataclass(frozen=True, slots=True)
class Census:
    """The rows of a collection at the boundary."""

    digest: RowDigest
    models: Mapping[str, int]  # embedding model label -> rows
    deleted_keys: tuple[str, ...]  # some that were deleted and did not come back


def take_census(
    reader: ObjectReader,
    collection_id: int,
    schema: Schema,
    segments: Sequence[SegmentBackup],
    *,
    boundary: int,
    label: str | None,
    alive: Callable[[], None] = lambda: None,
) -> Census:
    """Reads every row of a backed-up collection.

    Args:
        reader: gives objects by their keys below Milvus's root path.
        boundary: ms since the epoch; later rows and deletes are left out.
        label: the field that names a row's embedding model; None where there is none.
        alive: called before each segment.

    Raises:
        BackupError: a segment's logs do not hold as many rows as the server says it has.
        SegmentUnreadable, BackupDamaged, ObjectMissing.
    """
    until = boundary << 18
    builder = DigestBuilder(schema.primary.name)
    models: Counter[str] = Counter()
    gone = _deleted_candidates(reader, segments, until)
    for segment in segments:
        ref = SegmentRef(collection_id, segment.partition_id, segment.id)
        files = segment_files(reader, "", collection_id, segment.partition_id, segment.id)
        alive()
        written = rows_written(reader, files, ref)
        if written != segment.rows:
            raise BackupError(
                f"the logs of the segment {ref} hold {written} rows, "
                f"but the server says it has {segment.rows}",
                hint="run the backup again; if it says the same, the server has lost a file",
                subject=str(ref),
            )
        for batch in read_files(reader, files, schema, ref, until=until):
            builder.add(batch)
            if label is not None:
                models.update(_labels(batch, label))
            if gone:
                gone.difference_update(map(str, batch.column(schema.primary.name).to_pylist()))
    return Census(builder.result(), dict(sorted(models.items())), tuple(sorted(gone)[:_SAMPLE]))


def check_census(reader: ObjectReader, backup: CollectionBackup, boundary: int) -> None:
    """Reads a backed-up collection again and compares it with its manifest.

    Raises:
        BackupDamaged: it does not come to the same digest. And what `take_census` raises.
    """
    found = take_census(
        reader, backup.id, backup.schema, backup.segments, boundary=boundary, label=None
    ).digest
    if found != backup.digest:
        raise BackupDamaged(
            f"the rows of `{backup.name}` are not those of its manifest: "
            f"{found.rows} rows read, {backup.digest.rows} backed up",
            subject=backup.name,
        )


def _deleted_candidates(
    reader: ObjectReader, segments: Sequence[SegmentBackup], until: int
) -> set[str]:
    found: set[str] = set()
    for stored in (o for s in segments for o in s.delta):
        for key, timestamp in parse_deletes(reader.get(stored.source), stored.source):
            if timestamp <= until:
                found.add(str(key))
            if len(found) >= _CANDIDATES:
                return found
    return found


def _labels(batch: pa.RecordBatch, label: str) -> dict[str, int]:
    counts = batch.column(label).value_counts()
    values, sizes = counts.field("values").to_pylist(), counts.field("counts").to_pylist()
    return {str(v): n for v, n in zip(values, sizes, strict=True)}
