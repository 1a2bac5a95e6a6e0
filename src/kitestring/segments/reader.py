"""Single segments: what making and verifying a backup asks for. For the rows of a whole
collection see `kitestring.segments.plan`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitestring.clients.store.protocol import ObjectReader
from kitestring.model.arrow import arrow_type
from kitestring.model.collection import CollectionInfo, Field, Schema, Segment
from kitestring.segments.columns import ROW_ID_FIELD as ROW_ID_FIELD
from kitestring.segments.columns import TIMESTAMP_FIELD as TIMESTAMP_FIELD
from kitestring.segments.deltas import DeltaLogs
from kitestring.segments.layout import SegmentFiles, segment_files
from kitestring.segments.layout import SegmentRef as SegmentRef
from kitestring.segments.plan import plan_live, read_parts
from kitestring.segments.plan import refuse_unknown as refuse_unknown
from kitestring.segments.rows import open_segment, segment_rows


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
    """The rows of one segment that its own delta logs do not delete.

    Args and errors as `kitestring.segments.rows.segment_rows`. Deletes of L0 segments are not
    applied: see `kitestring.segments.plan`.
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
    kind = arrow_type(schema.primary)
    deletes = DeltaLogs(store).read([log.key for log in files.delta], kind, until)
    return segment_rows(store, _keys(files), schema, ref, columns, deletes=deletes, until=until)


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
        SegmentUnreadable: as `kitestring.segments.plan.plan_live` and `read_part`.
    """
    yield from read_parts(store, plan_live(store, root, info, segments, until=until), columns)


def rows_written(store: ObjectReader, files: SegmentFiles, ref: SegmentRef) -> int:
    """The number of rows that the logs of a segment hold, deleted ones too."""
    return sum(open_segment(store, _keys(files), None, ref).rows()) if files.insert else 0


def system_column(
    store: ObjectReader, files: SegmentFiles, field_id: int, position: int, ref: SegmentRef
) -> npt.NDArray[np.int64]:
    """The row ids (field 0) or timestamps (field 1) of one chunk of a segment (`files.logs`)."""
    field = Field("<system>", "INT64", field_id=field_id)
    column = open_segment(store, _keys(files), None, ref).column(field, position)
    values: npt.NDArray[np.int64] = column.to_numpy(zero_copy_only=False)
    return values


def _keys(files: SegmentFiles) -> dict[int, tuple[str, ...]]:
    return {number: tuple(log.key for log in logs) for number, logs in files.insert.items()}
