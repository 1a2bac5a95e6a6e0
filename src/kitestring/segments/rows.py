"""The rows of one segment that are there: what its logs hold, less what is deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from kitestring.clients.store.protocol import Data, ObjectInfo, ObjectReader
from kitestring.errors import SegmentUnreadable
from kitestring.model.arrow import arrow_schema
from kitestring.model.collection import Field, Schema
from kitestring.model.digest import DYNAMIC_FIELD
from kitestring.segments.binlog import PARQUET
from kitestring.segments.chunks import Columns, Logs
from kitestring.segments.columns import TIMESTAMP, dynamic_field
from kitestring.segments.deltas import Deletes, surviving
from kitestring.segments.layout import SegmentRef
from kitestring.segments.memory import give_back
from kitestring.segments.v1 import SegmentV1, probe
from kitestring.segments.v2 import SegmentV2


def segment_rows(
    store: ObjectReader,
    logs: Logs,
    schema: Schema,
    ref: SegmentRef,
    columns: Sequence[str] | None = None,
    *,
    deletes: Deletes | None = None,
    until: int | None = None,
    written: int | None = None,
    stamps: bool = False,
    ahead: bool = True,
) -> Iterator[pa.RecordBatch]:
    """The rows of a segment, a batch at a time, without the deleted ones.

    Args:
        logs: keys of its insert logs, in order.
        schema: with the field ids, as `describe` gives them.
        columns: names, `$meta` among them; None for all.
        deletes: the newest delete of each key.
        until: rows after this timestamp (ms since the epoch << 18) are left out.
        written: how many rows the logs hold, deleted ones too, where that is known.
        stamps: a last column more, `TIMESTAMP.name`: when each row was written.
        ahead: fetch the next logs while these are used (see `SegmentV1.read`).

    The batches' schema is that of `kitestring.model.arrow.arrow_schema`.

    Raises:
        SegmentUnreadable: a file is damaged or of a form that is not known; it is named. Also
            when all rows have been given, if they were not as many as `written`.
        ObjectMissing.
    """
    give_back()
    shape, fields = shape_of(schema, columns)
    needed = list(fields)
    if stamps:
        shape = shape.append(pa.field(TIMESTAMP.name, pa.int64()))
    if deletes is not None or until is not None or stamps:
        needed.append(TIMESTAMP)
    if deletes is not None and schema.primary not in fields:
        needed.append(schema.primary)
    rows = 0
    for found in open_segment(store, logs, schema, ref).read(needed, ahead=ahead):
        rows += len(next(iter(found.values())))
        batch = pa.RecordBatch.from_arrays([found[name] for name in shape.names], schema=shape)
        mask = _mask(found, schema.primary.name, deletes, until)
        del found
        yield batch if mask is None else batch.filter(mask)
        del batch  # or it would stay while the next one is read
    if written is not None and rows != written:
        raise SegmentUnreadable(
            f"the logs of the segment {ref} hold {rows} rows, not {written}", subject=str(ref)
        )


def open_segment(
    store: ObjectReader, logs: Logs, schema: Schema | None, ref: SegmentRef
) -> SegmentV1 | SegmentV2:
    """The segment, by the storage version that its files are of.

    Args:
        schema: None where only system fields are read.

    Raises:
        SegmentUnreadable: it has no files, or of fields that the schema does not name.
        ObjectMissing.
    """
    if not any(logs.values()):
        raise SegmentUnreadable(
            f"the store has no insert logs of the segment {ref}",
            hint="is the root path of `storage` in the spec that of the Milvus server?",
            subject=str(ref),
        )
    first = probe(logs, schema)
    if first is None:
        return SegmentV2(store, logs, schema, ref)
    known = _Known(store, first, store.get(first))
    kind = SegmentV2 if known.data[:4] == PARQUET else SegmentV1
    return kind(known, logs, schema, ref)


class _Known:
    """A store of which one object has been read already."""

    def __init__(self, store: ObjectReader, key: str, data: Data) -> None:
        self._store, self._key, self.data = store, key, data

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._store.list(prefix)

    def get(self, key: str) -> Data:
        if key != self._key:
            return self._store.get(key)
        data, self.data = self.data, b""
        return data or self._store.get(key)


def shape_of(schema: Schema, columns: Sequence[str] | None) -> tuple[pa.Schema, list[Field]]:
    """The Arrow schema of columns, and their fields.

    Raises:
        SegmentUnreadable: the schema has no such column, or one of an unknown type.
    """
    try:
        shape = arrow_schema(schema, columns)
    except ValueError as error:
        raise SegmentUnreadable(
            f"{error}", hint="name other columns, or read over the API"
        ) from None
    for name in columns or ():
        if name not in shape.names:
            raise SegmentUnreadable(f"the schema has no field `{name}`", subject=name)
    fields = [
        dynamic_field(None) if name == DYNAMIC_FIELD else schema.field(name) for name in shape.names
    ]
    return shape, [field for field in fields if field is not None]


def _mask(
    found: Columns, primary: str, deletes: Deletes | None, until: int | None
) -> pa.BooleanArray | None:
    """Which rows are there; None for all.

    Without numpy where there is nothing deleted: the first array that Arrow makes one of numpy's
    imports pandas, which takes as long as reading 100 MB.
    """
    if deletes is None and until is None:
        return None
    times = found[TIMESTAMP.name]
    found_alive = surviving(found[primary], times, deletes) if deletes is not None else None
    alive = None if found_alive is None else pa.array(found_alive)
    if until is None or pc.all(early := pc.less_equal(times, until)).as_py():
        return alive
    return early if alive is None else pc.and_(early, alive)
