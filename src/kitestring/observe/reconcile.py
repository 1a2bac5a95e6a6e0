"""Store against ledger, and rows against each other: by hash, a slice after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from kitestring.model.tally import EXAMPLES
from kitestring.observe.records import (
    PASSAGE,
    ROW,
    Records,
    Run,
    group,
    read_slice,
    slices,
)
from kitestring.parallel import Executor, Serial

SLICE_ROWS = 1_000_000  # records in memory for each worker: some 250 MB with what sorting takes
_ALONE = 4_000_000  # records below which starting processes takes longer than the work

Found = TypeVar("Found")
Place = tuple[int, int, int]
"""Part and position of a row, and the first half of its key's hash."""


@dataclass(slots=True)
class Rows:
    """How many rows, and where some of them were read."""

    count: int = 0
    places: list[Place] = field(default_factory=list)

    def take(self, other: Rows, limit: int) -> None:
        self.count += other.count
        self.places += other.places[: max(0, limit - len(self.places))]


@dataclass(slots=True)
class InFlight:
    """Differences that are left out because a row is newer than the watermark."""

    count: int = 0
    newest: int = 0  # ms since the epoch
    place: Place | None = None  # of the newest
    stored: bool = False  # whether that is a row of the store, or of the ledger

    def take(self, other: InFlight) -> None:
        self.count += other.count
        if other.place is not None and other.newest >= self.newest:
            self.newest, self.place, self.stored = other.newest, other.place, other.stored


@dataclass(slots=True)
class Reconciled:
    """What the comparison came to.

    `missing` are rows of the ledger, the others of the store. `duplicate` counts the rows beyond
    the first of their key, `copies` those beyond the first of their tenant and content that have
    another key.
    """

    store_rows: int = 0
    store_keys: int = 0
    ledger_rows: int = 0
    missing: Rows = field(default_factory=Rows)
    orphan: Rows = field(default_factory=Rows)
    stale: Rows = field(default_factory=Rows)
    duplicate: Rows = field(default_factory=Rows)
    copies: Rows = field(default_factory=Rows)
    in_flight: InFlight = field(default_factory=InFlight)


def reconcile(
    executor: Executor,
    store: Sequence[Run],
    ledger: Sequence[Run] | None,
    *,
    passages: Sequence[Run] = (),
    watermark: int | None = None,
    examples: int = EXAMPLES,
    slice_rows: int = SLICE_ROWS,
) -> Reconciled:
    """Compares runs of rows of the store with runs of the ledger's; exact.

    Args:
        ledger: None where there is none: then only duplicates are told.
        passages: runs of the store's contents, to tell equal ones by.
        watermark: ms since the epoch, when reading began. A row that either side says was written
            later is in flight: it is neither missing, orphan nor stale.
        executor: of processes of this machine; it is used where there is enough to do.
    """
    runs = [*store, *(ledger or ())]
    compare = partial(_compared, tuple(store), ledger and tuple(ledger), watermark, examples)
    result = Reconciled(ledger_rows=sum(run.rows for run in ledger or ()))
    for one in _spread(executor, compare, runs, slice_rows):
        result.store_rows += one.store_rows
        result.store_keys += one.store_keys
        result.missing.take(one.missing, examples)
        result.orphan.take(one.orphan, examples)
        result.stale.take(one.stale, examples)
        result.duplicate.take(one.duplicate, examples)
        result.in_flight.take(one.in_flight)
    look = partial(_copies, tuple(passages), examples)
    for found in _spread(executor, look, passages, slice_rows):
        result.copies.take(found, examples)
    return result


def _spread(
    executor: Executor,
    work: Callable[[tuple[int, int]], Found],
    runs: Sequence[Run],
    slice_rows: int,
) -> Iterator[Found]:
    parts = slices(runs, slice_rows)
    alone = sum(run.rows for run in runs) < _ALONE or not executor.shares_files
    return (Serial() if alone else executor).run(work, parts)


def _compared(
    store: Sequence[Run],
    ledger: Sequence[Run] | None,
    watermark: int | None,
    examples: int,
    buckets: tuple[int, int],
) -> Reconciled:
    mine = read_slice(store, *buckets, ROW)
    theirs = read_slice(ledger or (), *buckets, ROW)
    rows = np.concatenate([mine, theirs])
    result = Reconciled(len(mine))
    if not len(rows):
        return result
    found = group(rows)
    rows = rows[found.order]
    stored = found.order < len(mine)
    groups = len(found.starts)
    in_store = np.add.reduceat(stored, found.starts, dtype=np.int64)
    result.store_keys = int((in_store > 0).sum())
    again = _beyond_first(stored, found.group, groups)
    result.duplicate = _rows(rows, again, examples)
    if ledger is None:
        return result
    known = np.zeros(groups, bool)
    known[found.group[~stored]] = True
    late = np.zeros(groups, bool)
    if watermark is not None:
        late[found.group[rows["at"] > watermark]] = True
    missing = (in_store == 0)[found.group]
    orphan = ~known[found.group] & stored & ~again
    stale = _stale(rows, stored, found.group, known)
    in_time = ~late[found.group]
    result.missing = _rows(rows, missing & in_time, examples)
    result.orphan = _rows(rows, orphan & in_time, examples)
    result.stale = _rows(rows, stale & in_time, examples)
    result.in_flight = _in_flight(rows, stored, found.group, (missing | orphan | stale) & ~in_time)
    return result


def _in_flight(
    rows: Records,
    stored: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    differs: npt.NDArray[np.bool_],
) -> InFlight:
    if not differs.any():
        return InFlight()
    # the newest of the differing keys: the row that was left out, or the other one of its key
    concerned = np.isin(groups, groups[differs])
    newest = int(np.flatnonzero(concerned)[np.argmax(rows["at"][concerned])])
    place = _places(rows[newest : newest + 1])[0]
    return InFlight(int(differs.sum()), int(rows["at"][newest]), place, bool(stored[newest]))


def _beyond_first(
    stored: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.bool_]:
    """The rows of the store that are not the first of their key."""
    places = np.flatnonzero(stored)
    first = np.full(count, -1, np.int64)
    first[groups[places[::-1]]] = places[::-1]
    beyond = stored.copy()
    beyond[first[first >= 0]] = False
    return beyond


def _stale(
    rows: Records,
    stored: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    known: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """One row of each key of which some row has another content than the ledger says."""
    differs = stored & known[groups] & ((rows["content"] != 0) | (rows["content2"] != 0))
    same = np.ones(len(rows), bool)
    for half in ("content", "content2"):
        said = np.zeros(len(known), np.uint64)
        said[groups[~stored]] = rows[half][~stored]
        same &= rows[half] == said[groups]
    differs &= ~same
    one_each: npt.NDArray[np.bool_] = differs & ~_beyond_first(differs, groups, len(known))
    return one_each


def _copies(passages: Sequence[Run], examples: int, buckets: tuple[int, int]) -> Rows:
    rows = read_slice(passages, *buckets, PASSAGE)
    if not len(rows):
        return Rows()
    found = group(rows)
    if len(found.starts) == len(rows):
        return Rows()
    rows = rows[found.order]
    # equal contents of one key are duplicates of the key, and are told as such
    order = np.lexsort((rows["key"], found.group))
    rows, groups = rows[order], found.group[order]
    again = np.zeros(len(rows), bool)
    again[1:] = (groups[1:] == groups[:-1]) & (rows["key"][1:] != rows["key"][:-1])
    return _rows(rows, again, examples)


def _rows(rows: Records, mask: npt.NDArray[np.bool_], examples: int) -> Rows:
    chosen = np.flatnonzero(mask)
    return Rows(len(chosen), _places(rows[chosen[:examples]]))


def _places(rows: Records) -> list[Place]:
    hashed = rows["key" if "key" in (rows.dtype.names or ()) else "first"]
    return list(zip(rows["part"].tolist(), rows["position"].tolist(), hashed.tolist(), strict=True))
