"""Rows over the API, in the order of their keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kitestring.clients.milvus.duplicates import Batch, locate
from kitestring.clients.milvus.filters import Key, within
from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.murmur import hash_column
from kitestring.model.snapshot import Tally
from kitestring.observe.reconcile import Place
from kitestring.observe.take import Columns, Taken, Tap

_FEW = 8192  # rows of a batch


class ApiRows:
    """The rows of a loaded collection. A query hides all rows of a key but one."""

    path = "api"

    def __init__(
        self, milvus: Milvus, name: str, columns: Columns, *, batch_rows: int = _FEW
    ) -> None:
        self._milvus, self._name, self._columns = milvus, name, columns
        self._batch_rows = batch_rows
        self._batches: list[Batch] = []

    def take(self, folder: Path) -> Taken:
        """Reads the columns of every row that a query shows. Raises MilvusError."""
        tap = Tap(self._columns, 0, folder)
        self._batches = []
        wanted = self._columns.read()
        for batch in self._milvus.scan(self._name, wanted, batch_rows=self._batch_rows):
            if batch.num_rows:
                last = batch.column(self._columns.key)[batch.num_rows - 1].as_py()
                self._batches.append(Batch(last, batch.num_rows))
                tap.add(batch)
        return tap.finish()

    def duplicates(self, counted: int) -> Tally | None:
        """The rows that the queries hid; None where that is not what explains the difference."""
        return locate(self._milvus, self._name, self._columns.key, self._batches, counted=counted)

    def keys(self, places: Sequence[Place]) -> list[str]:
        """The keys of rows, read again; of those that are no longer there, nothing."""
        found = []
        for _, position, wanted in places:
            begin = 0
            low: Key | None = None
            for batch in self._batches:
                if position < begin + batch.keys:
                    found += self._nth(low, batch.last, position - begin, wanted)
                    break
                begin, low = begin + batch.keys, batch.last
        return found

    def _nth(self, low: Key | None, high: Key, position: int, wanted: int) -> list[str]:
        key = self._columns.key
        for batch in self._milvus.scan(self._name, [key], filter=within(key, low, high)):
            hashes = hash_column(batch.column(key))[:, 0].tolist()
            if wanted in hashes:
                return [str(batch.column(key)[hashes.index(wanted)].as_py())]
        return []
