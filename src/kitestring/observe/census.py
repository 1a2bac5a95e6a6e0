"""Reads the rows of a collection once, by key, and sets them against the ledger.

Nothing is flushed, loaded or changed: a drift check only reads. Vectors and texts stay where
they are; four short columns travel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from kitestring.clients.milvus.duplicates import Batch, locate
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import CollectionNotLoaded, RowsHidden
from kitestring.model.collection import CollectionInfo
from kitestring.model.ledger import LedgerRow
from kitestring.model.snapshot import RowCensus, Tally
from kitestring.observe.labels import LabelCounter
from kitestring.observe.reconcile import (
    InFlight,
    Reconciled,
    StoreRow,
    Unordered,
    reconcile,
)
from kitestring.spec.models import FieldMap

LedgerRows = Callable[[], Iterable[LedgerRow]]


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields that a census reads; None where the collection has no such field."""

    key: str
    content_hash: str | None
    model: str | None
    chunker: str | None
    written_at: str | None

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
        )

    def read(self) -> list[str]:
        """The columns to read, the key first, none twice."""
        wanted = (self.key, self.content_hash, self.model, self.chunker, self.written_at)
        return list(dict.fromkeys(name for name in wanted if name is not None))


@dataclass(slots=True)
class Tap:
    """Turns record batches into rows, and keeps the labels and batch bounds that pass by."""

    columns: Columns
    models: LabelCounter = field(default_factory=LabelCounter)
    chunkers: LabelCounter = field(default_factory=LabelCounter)
    batches: list[Batch] = field(default_factory=list)

    def rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[StoreRow]:
        for batch in batches:
            if batch.num_rows == 0:
                continue
            raw = batch.column(self.columns.key).to_pylist()
            keys = [str(key) for key in raw]
            for name, counter in (
                (self.columns.model, self.models),
                (self.columns.chunker, self.chunkers),
            ):
                if name is not None:
                    counter.add(batch.column(name), keys)
            self.batches.append(Batch(raw[-1], len(raw)))
            nothing = [None] * len(keys)
            hashes = self._values(batch, self.columns.content_hash, nothing)
            written = self._values(batch, self.columns.written_at, nothing)
            yield from map(StoreRow, keys, hashes, written)

    @staticmethod
    def _values(batch: pa.RecordBatch, name: str | None, nothing: list[None]) -> list[Any]:
        values: list[Any] = nothing if name is None else batch.column(name).to_pylist()
        return values


def take_census(
    milvus: Milvus,
    info: CollectionInfo,
    names: FieldMap,
    ledger: LedgerRows | None,
    *,
    batch_rows: int = 8192,
) -> RowCensus:
    """The census of one collection over the API.

    It is complete when as many keys were read as `count(*)` says before and after, or when every
    surplus in that count is a duplicate that was found.

    Args:
        ledger: gives the ledger's rows in the order of keys; None where there is no ledger.

    Raises:
        MilvusError: the server could not be read (a collection that is not loaded is no error but
            an incomplete census).
    """
    start = time.monotonic()
    if not info.loaded:
        return _unread("the collection is not loaded", ledger)
    try:
        census = _scan(milvus, info, Columns.of(info, names), ledger, batch_rows)
    except CollectionNotLoaded:
        return _unread("the collection was released while it was read", ledger)
    return replace(census, seconds=time.monotonic() - start)


def _scan(
    milvus: Milvus,
    info: CollectionInfo,
    columns: Columns,
    ledger: LedgerRows | None,
    batch_rows: int,
) -> RowCensus:
    watermark = int(time.time() * 1000)
    before = milvus.count(info.name)
    tap = Tap(columns)
    batches = milvus.scan(info.name, columns.read(), batch_rows=batch_rows)
    # whole numbers as keys come in another order than their texts; ingestion makes no such keys
    compared = ledger is not None and info.schema.primary.type == "VARCHAR"
    try:
        if ledger is not None and compared:
            result = reconcile(tap.rows(batches), ledger(), watermark=watermark)
        else:
            read = sum(1 for _ in tap.rows(batches))
            result = Reconciled(store_rows=read, store_keys=read)
    except Unordered as error:
        return _unread(f"the server did not answer in the order of keys: {error}", ledger)
    except RowsHidden as error:
        return _unread(error.message, ledger)
    after = milvus.count(info.name)
    duplicate, reason = result.duplicate, ""
    if before != after:
        reason = f"rows were written or deleted meanwhile: count(*) was {before}, then {after}"
    elif after > result.store_rows:
        found = locate(milvus, info.name, columns.key, tap.batches, counted=after)
        duplicate = found or Tally(after - result.store_rows)
        if found is None:
            reason = (
                f"count(*) says {after} rows and {result.store_keys} keys were read; "
                "that the others are duplicates could not be shown"
            )
    elif after < result.store_rows:
        reason = f"count(*) says {after} rows, {result.store_rows} were read"
    if not reason and result.in_flight.newest > int(time.time() * 1000):
        reason = _later(result.in_flight)
    census = RowCensus(
        path="api",
        complete=not reason,
        reason=reason,
        rows_read=result.store_rows,
        distinct_keys=result.store_keys,
        counted=after,
        duplicate=duplicate,
        models=tap.models.rows() if columns.model else None,
        chunkers=tap.chunkers.rows() if columns.chunker else None,
        model_examples=tap.models.examples(),
        chunker_examples=tap.chunkers.examples(),
    )
    return _with_ledger(census, result) if compared else census


def _later(flight: InFlight) -> str:
    """Rows in flight are left out; a row of a time that has not come yet would be left out for
    ever, and whatever is the matter with it."""
    number = "1 row differs" if flight.count == 1 else f"{flight.count:,} rows differ"
    return (
        f"{number} from the ledger and can't be judged, such as `{flight.example}`: the time of "
        "writing is still to come. A clock is wrong, here or where they were ingested"
    )


def _with_ledger(census: RowCensus, result: Reconciled) -> RowCensus:
    return replace(
        census,
        ledger_rows=result.ledger_rows,
        missing=result.missing,
        orphan=result.orphan,
        stale=result.stale,
    )


def _unread(reason: str, ledger: LedgerRows | None) -> RowCensus:
    rows = None if ledger is None else sum(1 for _ in ledger())
    return RowCensus(path="api", complete=False, reason=reason, ledger_rows=rows)
