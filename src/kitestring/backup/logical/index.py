"""The index of a Parquet file: one entry for each of its rows, in their order.

It is an object of its own beside the file, a few per cent of its size. The next backup reads it
instead of the rows, and the digest of a backup is the sum of the entries of the rows that are in
it. A Parquet file itself, with these columns (no nulls but where it says so):

| column | type | what it is |
|---|---|---|
| key | binary[16] | hash of the primary key, as in a `RowDigest` |
| content | binary[16] | hash of the whole row, as in a `RowDigest` |
| stamp | int64, all null where rows came over the API | Milvus's timestamp of the row |
| mark | binary[8], all null without the row contract | hash of what the contract says of a row |
| label | string, all null without the row contract | the embedding model of the row |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from kitestring.clients.store.protocol import Data
from kitestring.errors import BackupDamaged
from kitestring.model.digest import HASH, Hashes

MARK = 8  # bytes
Prints = npt.NDArray[np.uint8]
"""What tells one state of a row from another: shape (rows, 8)."""

_SCHEMA = pa.schema(
    [
        pa.field("key", pa.binary(HASH)),
        pa.field("content", pa.binary(HASH)),
        pa.field("stamp", pa.int64()),
        pa.field("mark", pa.binary(MARK)),
        pa.field("label", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Index:
    """The entries of some rows; columns that are None are not known of them."""

    keys: Hashes
    content: Hashes
    stamps: npt.NDArray[np.int64] | None = None
    marks: Prints | None = None
    labels: pa.Array | None = None  # of strings

    def __len__(self) -> int:
        return len(self.keys)

    def slice(self, at: int, rows: int) -> Index:
        """So many entries from a position on."""
        part = slice(at, at + rows)
        return Index(
            self.keys[part],
            self.content[part],
            None if self.stamps is None else self.stamps[part],
            None if self.marks is None else self.marks[part],
            None if self.labels is None else self.labels.slice(at, rows),
        )

    def select(self, rows: npt.NDArray[np.bool_]) -> Index:
        """The entries where `rows` is true."""
        return Index(
            self.keys[rows],
            self.content[rows],
            None if self.stamps is None else self.stamps[rows],
            None if self.marks is None else self.marks[rows],
            None if self.labels is None else self.labels.filter(pa.array(rows)),
        )

    def prints(self, by: str) -> Prints:
        """What tells the rows' states: by their `stamp` or their `mark`, which are known."""
        found = self.marks if by != "stamp" else None
        if by == "stamp" and self.stamps is not None:
            found = prints_of(self.stamps)
        if found is None:
            raise ValueError(f"the index has no {by}s")
        return found

    def label_counts(self) -> Counter[str]:
        if self.labels is None:
            return Counter()
        counts = self.labels.value_counts()
        values, sizes = counts.field("values").to_pylist(), counts.field("counts").to_pylist()
        return Counter({str(v): n for v, n in zip(values, sizes, strict=True)})


def prints_of(stamps: npt.NDArray[np.int64]) -> Prints:
    """Timestamps as prints."""
    return np.ascontiguousarray(stamps, "<i8").view(np.uint8).reshape(-1, MARK)


def concat(parts: Sequence[Index]) -> Index:
    """The entries of several, one after the other; what one of them lacks, the whole lacks."""
    stamps = [p.stamps for p in parts if p.stamps is not None]
    marks = [p.marks for p in parts if p.marks is not None]
    labels = [p.labels for p in parts if p.labels is not None]
    n = len(parts)
    return Index(
        np.concatenate([p.keys for p in parts]) if n else np.empty((0, HASH), np.uint8),
        np.concatenate([p.content for p in parts]) if n else np.empty((0, HASH), np.uint8),
        np.concatenate(stamps) if n and len(stamps) == n else None,
        np.concatenate(marks) if n and len(marks) == n else None,
        pa.concat_arrays(labels) if n and len(labels) == n else None,
    )


def encode(index: Index) -> bytes:
    """The object that holds an index."""
    rows = len(index)
    columns = [
        _fixed(index.keys, HASH),
        _fixed(index.content, HASH),
        pa.nulls(rows, pa.int64()) if index.stamps is None else pa.array(index.stamps, pa.int64()),
        pa.nulls(rows, pa.binary(MARK)) if index.marks is None else _fixed(index.marks, MARK),
        pa.nulls(rows, pa.string()) if index.labels is None else index.labels.cast(pa.string()),
    ]
    out = pa.BufferOutputStream()
    # hashes don't compress, and no two are the same
    pq.write_table(
        pa.table(columns, schema=_SCHEMA),
        out,
        compression={name: "zstd" if name in ("stamp", "label") else "none"
                     for name in _SCHEMA.names},
        use_dictionary=["label"],
        write_statistics=False,
    )  # fmt: skip
    data: bytes = out.getvalue().to_pybytes()
    return data


def decode(data: Data, name: str) -> Index:
    """The index that an object holds.

    Raises:
        BackupDamaged: it is no index; `name` is in the message.
    """
    try:
        table = pq.read_table(pa.BufferReader(data), use_threads=False).combine_chunks()
        if table.schema.names != _SCHEMA.names:
            raise ValueError(f"its columns are {', '.join(table.schema.names)}")
        key, content, stamp, mark, label = (
            column.chunk(0) if column.num_chunks else pa.array([], column.type)
            for column in table.columns
        )
        return Index(
            _unfixed(key, HASH),
            _unfixed(content, HASH),
            None if stamp.null_count else stamp.to_numpy(),
            None if mark.null_count else _unfixed(mark, MARK),
            None if label.null_count else label,
        )
    except (ValueError, pa.ArrowException) as error:
        raise BackupDamaged(
            f"the index {name} can't be read: {str(error).splitlines()[0]}",
            hint="make a new backup, and restore another one",
            subject=name,
        ) from None


def _fixed(values: npt.NDArray[np.uint8], width: int) -> pa.Array:
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(values), [None, data])


def _unfixed(column: pa.Array, width: int) -> npt.NDArray[np.uint8]:
    data = column.buffers()[1]
    if data is None:
        return np.empty((0, width), np.uint8)
    flat = np.frombuffer(data, np.uint8)
    return flat[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)
