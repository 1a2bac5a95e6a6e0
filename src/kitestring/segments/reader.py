"""Reads the rows of a collection from Milvus's own segment files (storage v1), into Arrow.

The same code reads a live cluster's object store and a backup's pool: what differs is the store
that is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import SegmentUnreadable
from kitestring.model.arrow import arrow_schema
from kitestring.model.collection import CollectionInfo, Field, Schema, Segment
from kitestring.model.digest import DYNAMIC_FIELD
from kitestring.segments.binlog import INSERT, read_column
from kitestring.segments.columns import PAYLOAD_TYPES, dynamic_field, to_field
from kitestring.segments.deltas import Deletes, read_deletes, surviving
from kitestring.segments.layout import SegmentFiles, segment_files

ROW_ID_FIELD, TIMESTAMP_FIELD = 0, 1  # every segment has them
_TIMESTAMP = Field("<timestamp>", "INT64", field_id=TIMESTAMP_FIELD)


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """Which segment: the ids that stand in its keys."""

    collection: int
    partition: int
    segment: int

    def __str__(self) -> str:
        return f"{self.collection}/{self.partition}/{self.segment}"


def read_segment(
    store: ObjectReader,
    root: str,
    schema: Schema,
    collection_id: int,
    partition_id: int,
    segment_id: int,
    columns: Sequence[str] | None = None,
    *,
    until: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """The rows of one segment that are not deleted, a batch for each log.

    Args:
        root: Milvus's root path as a key prefix of the store; may be empty.
        schema: with the field ids, as `describe` gives them.
        columns: names, `$meta` among them; None for all.
        until: a timestamp of Milvus (ms since the epoch << 18): rows and deletes after it are
            left out.

    The batches' schema is that of `kitestring.model.arrow.arrow_schema`.

    Raises:
        SegmentUnreadable: a file is missing, damaged, or of a form that is not known.
    """
    ref = SegmentRef(collection_id, partition_id, segment_id)
    files = segment_files(store, root, collection_id, partition_id, segment_id)
    return read_files(store, files, schema, ref, columns, until=until)


def read_files(
    store: ObjectReader,
    files: SegmentFiles,
    schema: Schema,
    ref: SegmentRef,
    columns: Sequence[str] | None = None,
    *,
    until: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """As `read_segment`, of files that were listed before."""
    shape = arrow_schema(schema, columns)
    fields = [_field(schema, name) for name in shape.names]
    deletes = read_deletes(store, [log.key for log in files.delta], until)
    if not files.insert:
        raise SegmentUnreadable(
            f"the store has no insert logs of the segment {ref}",
            hint="is the root path of `storage` in the spec that of the Milvus server?",
            subject=str(ref),
        )
    needed = list(fields)
    if deletes or until is not None:
        needed += [_TIMESTAMP] + ([schema.primary] if schema.primary not in fields else [])
    for position in range(_logs(files, needed, ref)):
        arrays = {
            field.name: _column(store, files.insert[_id(field)][position].key, field, ref)
            for field in needed
        }
        lengths = {len(array) for array in arrays.values()}
        if len(lengths) > 1:
            counts = ", ".join(f"{name}: {len(a)}" for name, a in arrays.items())
            raise SegmentUnreadable(
                f"the logs of the segment {ref} do not hold the same rows ({counts})",
                subject=str(ref),
            )
        batch = pa.RecordBatch.from_arrays([arrays[n] for n in shape.names], schema=shape)
        yield _alive(batch, arrays, schema.primary.name, deletes, until)


def read_live(
    store: ObjectReader,
    root: str,
    info: CollectionInfo,
    segments: Iterable[Segment],
    columns: Sequence[str] | None = None,
    *,
    until: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """The rows of the flushed ones among `segments` (see `Milvus.segments`) of a collection.

    Raises:
        SegmentUnreadable: as `read_segment`; or a segment is of a kind that is not known.
    """
    for segment in segments:
        if segment.state != "Flushed":
            continue
        refuse_unknown(segment)
        yield from read_segment(
            store, root, info.schema, info.id, segment.partition_id, segment.id, columns,
            until=until,
        )  # fmt: skip


def refuse_unknown(segment: Segment) -> None:
    """Raises SegmentUnreadable for a segment whose storage this reader does not know."""
    if segment.storage_version > 1:
        raise SegmentUnreadable(
            f"segment {segment.id} is of storage v{segment.storage_version}, which is not known",
            hint="read over the API",
            subject=str(segment.id),
        )
    if segment.level == "L0":
        raise SegmentUnreadable(
            f"segment {segment.id} is an L0 delete segment, which is not known",
            hint="compact the collection, or read over the API",
            subject=str(segment.id),
        )


def rows_written(store: ObjectReader, files: SegmentFiles, ref: SegmentRef) -> int:
    """The number of rows that the logs of a segment hold, deleted ones too."""
    logs = range(len(files.insert.get(TIMESTAMP_FIELD, [])))
    return sum(len(system_column(store, files, TIMESTAMP_FIELD, log, ref)) for log in logs)


def system_column(
    store: ObjectReader, files: SegmentFiles, field_id: int, position: int, ref: SegmentRef
) -> npt.NDArray[np.int64]:
    """One log of the row ids (field 0) or timestamps (field 1) of a segment."""
    field = Field("<system>", "INT64", field_id=field_id)
    column = _column(store, files.insert[field_id][position].key, field, ref)
    values: npt.NDArray[np.int64] = column.to_numpy(zero_copy_only=False)
    return values


def _column(store: ObjectReader, key: str, field: Field, ref: SegmentRef) -> pa.Array:
    found, values = read_column(store.get(key), ("val",), event=INSERT, name=key)
    wanted = (ref.collection, ref.partition, ref.segment, field.field_id)
    if (found.collection, found.partition, found.segment, found.field) != wanted:
        raise SegmentUnreadable(
            f"the segment file {key} says it is of "
            f"{found.collection}/{found.partition}/{found.segment}/{found.field}, not of its place",
            subject=key,
        )
    if found.payload_type != PAYLOAD_TYPES.get(field.type):
        raise SegmentUnreadable(
            f"the segment file {key} holds values of type {found.payload_type}, "
            f"but field `{field.name}` is {field.type}",
            subject=key,
        )
    return to_field(values, field, key)


def _alive(
    batch: pa.RecordBatch,
    arrays: dict[str, pa.Array],
    primary: str,
    deletes: Deletes,
    until: int | None,
) -> pa.RecordBatch:
    if not deletes and until is None:
        return batch
    times = arrays[_TIMESTAMP.name]
    keys = arrays[primary]
    if until is not None:
        early = pa.array(times.to_numpy(zero_copy_only=False) <= until)
        batch, times, keys = batch.filter(early), times.filter(early), keys.filter(early)
    mask = surviving(keys, times, deletes)
    return batch if mask is None else batch.filter(mask)


def _logs(files: SegmentFiles, fields: Sequence[Field], ref: SegmentRef) -> int:
    """How many logs each of the fields has: the same number, or the segment is not whole."""
    counts = {field.name: len(files.insert.get(_id(field), [])) for field in fields}
    written = max(len(logs) for logs in files.insert.values())
    for name, count in counts.items():
        if count != written:
            raise SegmentUnreadable(
                f"the segment {ref} has {count} logs of the field `{name}`, {written} of others",
                hint="a log is missing, or the field came after the segment was written",
                subject=str(ref),
            )
    return written


def _field(schema: Schema, name: str) -> Field:
    if name == DYNAMIC_FIELD:
        # describe does not show it; the server numbers it after all others
        return dynamic_field(max(_id(field) for field in schema.fields) + 1)
    field = schema.field(name)
    if field is None:
        raise SegmentUnreadable(f"the schema has no field `{name}`", subject=name)
    return field


def _id(field: Field) -> int:
    if field.field_id is None:
        raise SegmentUnreadable(
            f"the id of the field `{field.name}` is not known", subject=field.name
        )
    return field.field_id
