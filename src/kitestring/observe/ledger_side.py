"""The ledger's rows as records, and back from a record to its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from kitestring.ingest.ledger import Ledger
from kitestring.model.murmur import hash_column
from kitestring.observe.reconcile import Place
from kitestring.observe.records import Records, Run, make_run
from kitestring.observe.take import row_records

_HELD = 1_000_000  # records in memory before they are written


class LedgerRows(Protocol):
    """What a census asks of one collection's ledger; see the methods of `Ledger`."""

    def columns(self) -> Iterator[tuple[Sequence[str], Sequence[str], Sequence[int]]]: ...
    def nth_key(self, first: str, position: int) -> str | None: ...
    def contents(self, keys: Iterable[str]) -> dict[str, str]: ...
    def busy(self) -> bool: ...


class OfCollection:
    """A ledger, for one collection."""

    def __init__(self, ledger: Ledger, collection: str) -> None:
        self.columns = partial(ledger.columns, collection)
        self.nth_key = partial(ledger.nth_key, collection)
        self.contents = partial(ledger.contents, collection)
        self.busy = partial(ledger.busy, collection)


class LedgerSide:
    """Reads a ledger once; `keys` finds rows again."""

    def __init__(self, ledger: LedgerRows) -> None:
        self.ledger = ledger
        self._firsts: list[str] = []  # of each batch

    def runs(self, folder: Path) -> list[Run]:
        held: list[Records] = []
        runs: list[Run] = []

        def write() -> None:
            if held:
                runs.append(make_run(np.concatenate(held), folder / f"ledger-{len(runs)}"))
                held.clear()

        for keys, contents, times in self.ledger.columns():
            part = len(self._firsts)
            self._firsts.append(keys[0])
            hashes = hash_column(pa.array(keys, pa.string()))
            content = hash_column(pa.array(contents, pa.string()))
            at = np.array(times, np.int64)
            held.append(row_records(hashes, content, at, part, np.arange(len(at), dtype=np.uint32)))
            if sum(map(len, held)) >= _HELD:
                write()
        write()
        return runs

    def keys(self, places: Iterable[Place]) -> list[str]:
        """The keys of rows; of those that are no longer where they were, nothing."""
        found = []
        for part, position, wanted in places:
            key = self.ledger.nth_key(self._firsts[part], position)
            if key is not None and int(hash_column(pa.array([key]))[0, 0]) == wanted:
                found.append(key)
        return found
