"""From batches of a collection's rows to records, labels and counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitestring.model.collection import CollectionInfo
from kitestring.model.murmur import Words, hash_column
from kitestring.observe.labels import LabelCounter
from kitestring.observe.records import PASSAGE, ROW, UNKNOWN, Records, Run, make_run
from kitestring.segments.columns import TIMESTAMP
from kitestring.spec.models import FieldMap

_HELD = 1_000_000  # records of a part in memory before they are written
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 by the golden ratio, odd


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields that a census reads; None where the collection has no such field."""

    key: str
    content_hash: str | None
    model: str | None
    chunker: str | None
    written_at: str | None
    tenant: str | None = None

    @classmethod
    def of(cls, info: CollectionInfo, names: FieldMap) -> Columns:
        def there(name: str | None) -> str | None:
            return name if name is not None and info.schema.field(name) else None

        return cls(
            info.schema.primary.name,
            there(names.content_hash),
            there(names.embedding_model),
            there(names.chunker),
            there(names.last_embedded_at),
            there(names.tenant_id) if names.content_hash else None,
        )

    def read(self) -> list[str]:
        """The columns to read, the key first, none twice."""
        wanted = (
            self.key, self.content_hash, self.model, self.chunker, self.written_at, self.tenant
        )  # fmt: skip
        return list(dict.fromkeys(name for name in wanted if name is not None))


@dataclass(slots=True)
class Taken:
    """What the rows of some parts came to. `hidden` are those that have outlived their TTL."""

    rows: int = 0
    hidden: int = 0
    runs: list[Run] = field(default_factory=list)
    passages: list[Run] = field(default_factory=list)
    models: LabelCounter = field(default_factory=LabelCounter)
    chunkers: LabelCounter = field(default_factory=LabelCounter)

    def take(self, other: Taken) -> None:
        self.rows += other.rows
        self.hidden += other.hidden
        self.runs += other.runs
        self.passages += other.passages
        self.models.take(other.models)
        self.chunkers.take(other.chunkers)


class Tap:
    """Takes the batches of one part.

    Args:
        part: its number.
        folder: where records are written; None to keep them in memory.
        oldest: rows with an earlier timestamp of Milvus's have outlived their TTL.
    """

    def __init__(
        self, columns: Columns, part: int, folder: Path | None, *, oldest: int | None = None
    ) -> None:
        self.taken = Taken()
        self._columns, self._part, self._folder, self._oldest = columns, part, folder, oldest
        self._rows: list[Records] = []
        self._passages: list[Records] = []
        self._held = self._position = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes a batch with the columns, and perhaps Milvus's timestamps."""
        positions = np.arange(self._position, self._position + batch.num_rows, dtype=np.uint32)
        self._position += batch.num_rows
        stamps = None
        if TIMESTAMP.name in batch.schema.names:
            stamps = np.asarray(np.from_dlpack(batch.column(TIMESTAMP.name)), np.int64)
            if self._oldest is not None and (stamps < self._oldest).any():
                alive = stamps >= self._oldest
                self.taken.hidden += int(batch.num_rows - alive.sum())
                batch, stamps, positions = (
                    batch.filter(pa.array(alive)),
                    stamps[alive],
                    positions[alive],
                )
        if not batch.num_rows:
            return
        self.taken.rows += batch.num_rows
        columns, keys = self._columns, batch.column(self._columns.key)
        if columns.model is not None:
            self.taken.models.add(batch.column(columns.model), keys)
        if columns.chunker is not None:
            self.taken.chunkers.add(batch.column(columns.chunker), keys)
        content = hash_column(batch.column(columns.content_hash)) if columns.content_hash else None
        at = _written(batch, columns.written_at, stamps)
        rows = row_records(hash_column(keys), content, at, self._part, positions)
        self._rows.append(rows)
        if content is not None:
            tenants = hash_column(batch.column(columns.tenant)) if columns.tenant else None
            self._passages.append(_passages(rows, content, tenants))
        self._held += len(rows)
        if self._held >= _HELD:
            self._write()

    def finish(self) -> Taken:
        self._write()
        return self.taken

    def _write(self) -> None:
        if not self._held:
            return
        number = len(self.taken.runs)
        for kind, held, runs in (
            ("rows", self._rows, self.taken.runs),
            ("passages", self._passages, self.taken.passages),
        ):
            if held:
                name = f"{kind}-{self._part}-{number}"
                file = None if self._folder is None else self._folder / name
                runs.append(make_run(np.concatenate(held), file))
                held.clear()
        self._held = 0


def row_records(
    keys: Words,
    content: Words | None,
    at: npt.NDArray[np.int64] | int,
    part: int,
    positions: npt.NDArray[np.uint32],
) -> Records:
    """Records of rows, from the hashes of their keys and content hashes."""
    records = np.zeros(len(keys), ROW)
    records["first"], records["second"] = keys[:, 0], keys[:, 1]
    if content is not None:
        records["content"], records["content2"] = content[:, 0], content[:, 1]
    records["at"], records["part"], records["position"] = at, part, positions
    return records


def _passages(rows: Records, content: Words, tenants: Words | None) -> Records:
    told = content.any(axis=1)
    if tenants is not None:
        content = content + tenants * _SPREAD
    records = np.zeros(len(rows), PASSAGE)
    records["first"], records["second"] = content[:, 0], content[:, 1]
    records["key"] = rows["first"]
    records["part"], records["position"] = rows["part"], rows["position"]
    return records[told]


def _written(
    batch: pa.RecordBatch, column: str | None, stamps: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.int64] | int:
    """When each row was written, ms since the epoch: as the server says, where that is known."""
    if stamps is not None:
        return np.asarray(stamps >> 18, np.int64)
    if column is None:
        return UNKNOWN
    values = batch.column(column).cast(pa.int64()).fill_null(UNKNOWN)
    return np.asarray(np.from_dlpack(values), np.int64)
