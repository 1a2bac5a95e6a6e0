"""Reads the rows of a collection once and sets them against the ledger, and each other.

Nothing is flushed, loaded or changed: a drift check only reads. Vectors and texts stay where
they are; a few short columns are read, and hashed.

The server's files hold every write up to a boundary, which the server tells without doing
anything (`Milvus.flushed_until`). What came later is left out on both sides, and where a row
differs it is looked at once more, on both sides, before it is told. So nothing is told that is
only on its way.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import (
    CollectionNotLoaded,
    ObjectMissing,
    RowsHidden,
    SegmentUnreadable,
)
from kitestring.model.collection import CollectionInfo
from kitestring.model.snapshot import RowCensus
from kitestring.model.tally import EXAMPLES, Tally
from kitestring.model.watermark import later_text
from kitestring.observe.api_parts import PART_ROWS, STREAMS, api_parts
from kitestring.observe.from_api import ApiRows
from kitestring.observe.from_segments import UNREACHABLE, SegmentRows
from kitestring.observe.ledger_side import LedgerRows, LedgerSide
from kitestring.observe.reading import API, AUTO, LARGE, SEGMENTS, SMALL, Reading
from kitestring.observe.reconcile import Place, Reconciled, Rows, reconcile
from kitestring.observe.second_look import SecondLook
from kitestring.observe.take import Columns, Taken
from kitestring.parallel import Workers
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import FieldMap


class _Keys(Protocol):
    def keys(self, places: Sequence[Place]) -> list[str]: ...


def take_census(
    milvus: Milvus,
    info: CollectionInfo,
    names: FieldMap,
    ledger: LedgerRows | None,
    *,
    loaded: LoadedSpec | None = None,
    reading: Reading | None = None,
    workers: Workers | None = None,
    batch_rows: int = 8192,
    part_rows: int = PART_ROWS,
) -> RowCensus:
    """The census of one collection.

    Over the API it is complete when as many keys of each part were read as its `count(*)` says, or
    every surplus in that count is a duplicate that was found, and the parts hold as many rows as
    the collection did before. From the files it is complete
    up to the boundary.

    Args:
        ledger: None where there is none.
        loaded: names the server's store; None for the API alone.
        workers: None for this process.
        part_rows: what one part has over the API, at least; a collection of less than twice as
            many is read in one.

    Raises:
        MilvusError: the server could not be read (a collection that is not loaded is no error but
            an incomplete census).
        StoreError, SegmentUnreadable, …: with `via: segments`, the files could not be.
    """
    start = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kitestring-rows-")))
        at_work = workers or stack.enter_context(Workers("serial"))
        columns = Columns.of(info, names)
        taker = _Taker(milvus, info, columns, ledger, at_work, folder, batch_rows, part_rows)
        census = taker.take(loaded, reading or Reading())
    return replace(census, seconds=time.monotonic() - start)


class _Taker:
    def __init__(
        self,
        milvus: Milvus,
        info: CollectionInfo,
        columns: Columns,
        ledger: LedgerRows | None,
        workers: Workers,
        folder: Path,
        batch_rows: int,
        part_rows: int,
    ) -> None:
        self._milvus, self._info, self._columns = milvus, info, columns
        self._ledger = None if ledger is None else LedgerSide(ledger)
        self._workers, self._folder = workers, folder
        self._batch_rows, self._part_rows = batch_rows, part_rows

    def take(self, loaded: LoadedSpec | None, reading: Reading) -> RowCensus:
        if reading.via == SEGMENTS:
            if loaded is None:
                raise ValueError("segments are read by a spec")
            return self._files(loaded, self._planned(loaded), None)
        note = ""
        if reading.via == AUTO and loaded is not None and loaded.spec.storage is not None:
            try:
                census = self._if_apt(loaded)
            except (*UNREACHABLE, SegmentUnreadable) as error:
                note = f"the segment files could not be read: {error.message}"
            else:
                if census is not None and census.complete:
                    return census
                note = "" if census is None else census.note
                if census is not None and not self._info.loaded:
                    return census
                if census is not None and census.rows_read > LARGE:
                    return census
        try:
            return replace(self._api(), note=note)
        except RowsHidden as error:
            if reading.via == AUTO and loaded is not None and loaded.spec.storage is not None:
                with suppress(*UNREACHABLE, SegmentUnreadable):
                    counted = self._milvus.count(self._info.name)
                    return self._files(loaded, self._planned(loaded), counted)
            return self._unread(error.message)

    def _planned(self, loaded: LoadedSpec) -> SegmentRows:
        segments = self._milvus.segments(self._info.name)
        return SegmentRows(loaded, self._info, segments, self._columns)

    def _if_apt(self, loaded: LoadedSpec) -> RowCensus | None:
        """The census from the files, where they are known to hold everything or hold a lot."""
        if not self._info.loaded:
            return None
        source = self._planned(loaded)
        now = _now()
        if source.written < SMALL:
            until = self._milvus.flushed_until(self._info.name, now, search=False)
            if until is None or until < now:
                return None
        return self._files(loaded, source, self._milvus.count(self._info.name))

    def _files(self, loaded: LoadedSpec, source: SegmentRows, counted: int | None) -> RowCensus:
        """From the files.

        Args:
            counted: `count(*)`; None where nothing is to be asked of the query nodes.
        """
        now = _now()
        watermark = self._milvus.flushed_until(self._info.name, now)
        watermark = now if watermark is None else watermark
        executor = self._workers.of(source.written)
        try:
            taken = source.take(executor, self._folder)
        except ObjectMissing:  # compaction replaces segments, and then removes them
            source = self._planned(loaded)
            taken = source.take(executor, self._folder)
        result = self._compared(taken, watermark)
        census = self._census(SEGMENTS, source, taken, result, watermark < now)
        note = "" if watermark >= now else later_text(watermark)
        reason = self._later(source, result) if census.complete else census.reason
        if counted is not None and counted != taken.rows:
            note = reason = (
                f"the segment files hold {taken.rows:,} rows and the server {counted:,}: "
                "what was written or deleted since the last flush is not in them"
            )
        return replace(
            census,
            complete=not reason,
            reason=reason,
            counted=counted or 0,
            duplicate=self._tally(source, result.duplicate),
            watermark=watermark,
            note=note,
        )

    def _api(self) -> RowCensus:
        if not self._info.loaded:
            return self._unread("the collection is not loaded")
        try:
            return self._scanned()
        except CollectionNotLoaded:
            return self._unread("the collection was released while it was read")

    def _scanned(self) -> RowCensus:
        watermark, name = _now(), self._info.name
        before = self._milvus.count(name)
        parts = api_parts(self._milvus, self._info, before, part_rows=self._part_rows)
        source = ApiRows(
            self._milvus, name, self._columns, before, parts=parts, batch_rows=self._batch_rows
        )
        taken = source.take(self._workers.side_by_side(min(STREAMS, len(parts))), self._folder)
        result = self._compared(taken, watermark)
        after = self._milvus.count(name)
        reason = source.judge(after)
        duplicate, moved = source.duplicates(result.duplicate)
        reason = reason or moved
        moving = source.moved or bool(reason)
        moving = moving or (self._ledger is not None and self._ledger.ledger.busy())
        census = self._census(API, source, taken, result, moving)
        reason = reason or census.reason or self._later(source, result)
        return replace(
            census,
            complete=not reason,
            reason=reason,
            counted=after,
            duplicate=duplicate,
        )

    def _compared(self, taken: Taken, watermark: int) -> Reconciled:
        ledger = None if self._ledger is None else self._ledger.runs(self._folder)
        return reconcile(
            self._workers.here(taken.rows),
            taken.runs,
            ledger,
            passages=taken.passages,
            watermark=watermark,
            examples=SecondLook.LIMIT,
        )

    def _census(
        self, path: str, source: _Keys, taken: Taken, result: Reconciled, moving: bool
    ) -> RowCensus:
        """Args: moving: what differs may be on its way, and is looked at again."""
        columns = self._columns
        copies = None
        if columns.content_hash is not None:
            copies = self._tally(source, result.copies)
        census = RowCensus(
            path=path,
            complete=True,
            rows_read=taken.rows,
            distinct_keys=result.store_keys,
            models=taken.models.rows() if columns.model else None,
            chunkers=taken.chunkers.rows() if columns.chunker else None,
            model_examples=taken.models.examples(),
            chunker_examples=taken.chunkers.examples(),
            duplicate_content=copies,
        )
        if self._ledger is None:
            return census
        census = replace(census, ledger_rows=result.ledger_rows)
        if not moving or not (result.missing.count or result.orphan.count or result.stale.count):
            return replace(
                census,
                missing=self._tally(self._ledger, result.missing),
                orphan=self._tally(source, result.orphan),
                stale=self._tally(source, result.stale),
            )
        look = SecondLook(self._milvus, self._info, columns, self._ledger.ledger)
        missing = look.missing(result.missing, self._ledger.keys(result.missing.places))
        orphan = look.orphan(result.orphan, source.keys(result.orphan.places))
        stale = look.stale(result.stale, source.keys(result.stale.places))
        return replace(
            census,
            missing=missing,
            orphan=orphan,
            stale=stale,
            complete=not look.doubt,
            reason=look.doubt,
        )

    def _tally(self, source: _Keys, rows: Rows) -> Tally:
        if not rows.count:
            return Tally()
        keys = sorted(source.keys(rows.places[:EXAMPLES]))
        return Tally(rows.count, tuple(keys))

    def _later(self, source: _Keys, result: Reconciled) -> str:
        """Rows in flight are left out; a row of a time that has not come yet would be left out for
        ever, and whatever is the matter with it."""
        flight = result.in_flight
        if flight.newest <= _now() or flight.place is None:
            return ""
        side = source if flight.stored or self._ledger is None else self._ledger
        keys = side.keys([flight.place])
        example = f", such as `{keys[0]}`" if keys else ""
        number = "1 row differs" if flight.count == 1 else f"{flight.count:,} rows differ"
        return (
            f"{number} from the ledger and can't be judged{example}: the time of "
            "writing is still to come. A clock is wrong, here or where they were ingested"
        )

    def _unread(self, reason: str) -> RowCensus:
        rows = None
        if self._ledger is not None:
            rows = sum(len(keys) for keys, _, _ in self._ledger.ledger.columns())
        return RowCensus(path=API, complete=False, reason=reason, ledger_rows=rows)


def _now() -> int:
    return int(time.time() * 1000)
