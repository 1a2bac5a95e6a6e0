"""Rows from the cluster's segment files: exactly those of the boundary, and no load on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from kitestring.backup.logical.changes import Comparison, Mask
from kitestring.backup.logical.index import prints_of
from kitestring.backup.logical.source import (
    THREADS,
    Contract,
    Stamps,
    Unit,
    each_once,
    in_threads,
    marks_of,
)
from kitestring.backup.logical.where import Filter
from kitestring.clients.store.protocol import ObjectReader
from kitestring.model.arrow import arrow_type
from kitestring.model.collection import CollectionInfo
from kitestring.model.digest import key_hashes
from kitestring.segments.columns import TIMESTAMP
from kitestring.segments.deltas import DeltaLogs, DeltaLogsByThread
from kitestring.segments.plan import Part, read_part


class FromSegments:
    """The rows of planned segments; each is a unit.

    Args:
        store: with the keys of the parts.
    """

    read_by = "segments"
    threads = THREADS

    def __init__(
        self,
        store: ObjectReader,
        info: CollectionInfo,
        parts: Sequence[Part],
        contract: Contract,
        where: Filter | None = None,
    ) -> None:
        self._store, self._info, self._parts = store, info, parts
        self._contract, self._where = contract, where
        self._deltas = DeltaLogsByThread(store)
        # a segment has threads of its own that decode it: enough where there is only one
        self.apart = len(parts) >= THREADS
        by_key = any(f.partition_key for f in info.schema.fields)
        names = {} if by_key else {p.id: p.name for p in info.partitions}
        self._units = [
            Unit(number, names.get(part.partition_id, "")) for number, part in enumerate(parts)
        ]

    def survey(
        self, by: str, comparison: Comparison | None, beat: Callable[[], None]
    ) -> Iterable[Unit]:
        if comparison is None:
            return self._units
        guard = threading.Lock()

        def look(unit: Unit) -> None:
            key = self._info.schema.primary.name
            marks = self._contract.marks if by == "mark" else ()
            for batch, stamps in self._read(unit, each_once((key, *marks))):
                prints = prints_of(stamps) if by == "stamp" else marks_of(batch, self._contract)
                hashes = key_hashes(batch.column(key))
                with guard:
                    comparison.now(unit.number, unit.partition, hashes, prints)

        for _ in in_threads(look, self._units, beat):
            pass
        return self._units

    def deleted(self, limit: int) -> pa.Array:
        kind = arrow_type(self._info.schema.primary)
        logs = DeltaLogs(self._store)
        found = pa.array([], kind)
        for part in self._parts:
            if part.deltas and len(found) < limit:
                deletes = logs.read(part.deltas, kind, part.until)
                if deletes is not None:
                    found = pa.concat_arrays([found, deletes.keys.slice(0, limit)])
        return found.slice(0, limit)

    def rows(
        self, unit: Unit, wanted: Mask | None
    ) -> Iterator[tuple[pa.RecordBatch, Stamps | None]]:
        if wanted is not None and not wanted.any():
            return
        at = 0
        for batch, stamps in self._read(unit, None):
            if wanted is not None:
                mask = wanted[at : at + batch.num_rows]
                at += batch.num_rows
                if not mask.all():
                    batch, stamps = batch.filter(pa.array(mask)), stamps[mask]
            if batch.num_rows:
                yield batch, stamps

    def _read(
        self, unit: Unit, columns: Sequence[str] | None
    ) -> Iterator[tuple[pa.RecordBatch, Stamps]]:
        """The rows that pass the filter, with the columns at least, and their timestamps."""
        if columns is not None and self._where is not None:
            columns = each_once((*columns, *self._where.fields()))
        part = self._parts[unit.number]
        for batch in read_part(
            self._store, part, columns,
            deltas=self._deltas.mine(), stamps=True, ahead=not self.apart,
        ):  # fmt: skip
            if self._where is not None:
                batch = batch.filter(self._where.mask(batch))
            stamps = batch.column(TIMESTAMP.name).to_numpy(zero_copy_only=False)
            rest = batch.select([n for n in batch.schema.names if n != TIMESTAMP.name])
            yield rest, stamps.astype(np.int64, copy=False)
