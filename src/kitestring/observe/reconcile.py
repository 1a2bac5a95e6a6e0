"""Store against ledger: one pass over two streams in the order of keys, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from kitestring.model.ledger import LedgerRow
from kitestring.model.snapshot import Tally

EXAMPLES = 5  # keys kept of each kind
_NONE = Tally()


class StoreRow(NamedTuple):
    """A row of the store. None where the collection has no such field."""

    key: str
    content_hash: str | None = None
    written_at: int | None = None  # ms since the epoch


@dataclass(slots=True)
class Counter:
    """A tally that grows."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(key)

    def tally(self) -> Tally:
        return Tally(self.count, tuple(self.examples))


@dataclass(slots=True)
class InFlight:
    """Differences that were left out because a row is newer than the watermark."""

    count: int = 0
    newest: int = 0  # ms since the epoch
    example: str = ""  # the key of the newest

    def add(self, key: str, at: int) -> None:
        self.count += 1
        if at >= self.newest:
            self.newest, self.example = at, key


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What the comparison came to. `duplicate` counts the rows beyond the first of their key, as
    far as the store's stream shows them (a query's answers do not)."""

    store_rows: int
    store_keys: int
    ledger_rows: int = 0
    missing: Tally = _NONE
    orphan: Tally = _NONE
    stale: Tally = _NONE
    duplicate: Tally = _NONE
    in_flight: InFlight = field(default_factory=InFlight)


class Unordered(Exception):
    """A stream is not in the order of keys, so nothing follows from comparing it."""


def reconcile(
    store: Iterable[StoreRow], ledger: Iterable[LedgerRow], *, watermark: int | None = None
) -> Reconciled:
    """Compares two streams, both in the order of the keys' Unicode code points. That is the order
    of their bytes in UTF-8, and so Milvus's for VARCHAR and SQLite's for BINARY.

    Args:
        watermark: ms since the epoch, when reading began. A row that either side says was written
            later is in flight: it is neither missing, orphan nor stale.

    Raises:
        Unordered: one of the streams is not in order.
    """
    missing, orphan, stale, duplicate = Counter(), Counter(), Counter(), Counter()
    entries = iter(ledger)
    entry = next(entries, None)
    store_rows = store_keys = ledger_rows = 0
    last: str | None = None
    flight = InFlight()

    def settled(key: str, *times: int | None) -> bool:
        newest = max((at for at in times if at is not None), default=0)
        if watermark is None or newest <= watermark:
            return True
        flight.add(key, newest)
        return False

    def advance(current: LedgerRow) -> LedgerRow | None:
        nonlocal ledger_rows
        ledger_rows += 1
        following = next(entries, None)
        if following is not None and following.key <= current.key:
            raise Unordered(f"`{following.key}` stands after `{current.key}` in the ledger")
        return following

    for row in store:
        store_rows += 1
        if last is not None and row.key <= last:
            if row.key < last:
                raise Unordered(f"`{row.key}` was read after `{last}`")
            duplicate.add(row.key)
            continue
        last = row.key
        store_keys += 1
        while entry is not None and entry.key < row.key:
            if settled(entry.key, entry.last_embedded_at):
                missing.add(entry.key)
            entry = advance(entry)
        if entry is None or entry.key > row.key:
            if settled(row.key, row.written_at):
                orphan.add(row.key)
            continue
        differs = row.content_hash is not None and row.content_hash != entry.content_hash
        if differs and settled(row.key, row.written_at, entry.last_embedded_at):
            stale.add(row.key)
        entry = advance(entry)
    while entry is not None:
        if settled(entry.key, entry.last_embedded_at):
            missing.add(entry.key)
        entry = advance(entry)
    return Reconciled(
        store_rows=store_rows,
        store_keys=store_keys,
        ledger_rows=ledger_rows,
        missing=missing.tally(),
        orphan=orphan.tally(),
        stale=stale.tally(),
        duplicate=duplicate.tally(),
        in_flight=flight,
    )
