"""Copies rows into the shadow collection with vectors of the new model.

Whatever happens, a pass comes to the same end: a row whose copy is already as it should be is
passed over, others are embedded and upserted under the same key, and copies without a row are
deleted. So a killed copy is continued by the next one. Texts are embedded by whatever runs the
plan, some lots ahead; rows are written and noted here alone, in the order in which they were read.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kitestring.clients.embedder.base import Vectors
from kitestring.clients.milvus.protocol import Milvus
from kitestring.embedding.spread import Spread
from kitestring.errors import ReembedError, ReembedRefused
from kitestring.model.collection import CollectionInfo
from kitestring.model.reembed import CopyProgress, OnProgress
from kitestring.reembed.columns import Columns
from kitestring.reembed.journal import Copied, Journal, Key
from kitestring.reembed.rows import by_keys, every_row, read_rows
from kitestring.spec.loaded import LoadedSpec

BATCH_ROWS = 256  # embedded, written and noted together
_NO_PASS = 0


@dataclass(frozen=True, slots=True)
class _Lot:
    """Rows of the source that are embedded, written and noted together."""

    rows: pa.RecordBatch
    partition: str
    marks: Sequence[bytes]
    number: int  # of the pass


class Copier:
    """Copies from one collection into another; `embedded` and `removed` count what it did."""

    def __init__(
        self,
        loaded: LoadedSpec,
        milvus: Milvus,
        journal: Journal,
        spread: Spread,
        source: CollectionInfo,
        shadow: CollectionInfo,
        columns: Columns,
        progress: OnProgress | None = None,
    ) -> None:
        self._loaded, self._milvus, self._journal = loaded, milvus, journal
        self._spread, self.columns = spread, columns
        self.source, self.shadow = source, shadow
        self._progress = progress
        self.embedded = self.removed = 0
        self.twice: list[Key] = []  # keys that stand for more than one row; a few
        self.absent: set[Key] = set()
        self._under_way: set[Key] = set()  # handed out to be embedded, and not written yet

    def rebuild(self) -> None:
        """Notes what is in the shadow collection, where the journal does not know it."""
        if not self._journal.fresh:
            return

        def take(batch: pa.RecordBatch, _: str) -> None:
            keys = batch.column(self.columns.key).to_pylist()
            content = self._texts(batch, self.columns.content)
            marks = self.columns.marks(batch)
            rows = map(Copied, keys, marks, content, [None] * len(keys))
            self._journal.note(rows, _NO_PASS)

        columns = self.columns.carried
        read_rows(
            self._loaded, self._milvus, self.shadow.name, columns, self._journal.restart, take
        )
        self._journal.is_true()

    def full_pass(self, total: int) -> tuple[str, str]:
        """Looks at every row of the source; returns how they were read, and why not otherwise.

        Raises:
            ReembedRefused: a row has no text.
            EmbedderFailed, DimensionMismatch, MilvusError, WorkerLost: run it again.
        """
        number, seen, how = self._journal.next_pass(), 0, ("", "")

        def start() -> None:
            nonlocal number, seen
            number, seen = self._journal.next_pass(), 0
            self.twice.clear()

        def lots() -> Iterator[_Lot]:
            nonlocal seen, how
            rows = every_row(self._loaded, self._milvus, self.source.name, self.columns.read, start)
            while True:
                try:
                    batch, partition = next(rows)
                except StopIteration as end:
                    how = end.value
                    return
                yield from self._changed(batch, partition, number)
                seen += batch.num_rows
                if self._progress is not None:
                    self._progress(CopyProgress(seen, max(total, seen), self.embedded))

        self._copy(lots(), total)
        for keys in self._journal.unseen(number):
            self._gone(keys, number)
        return how

    def take_keys(self, keys: Sequence[Key]) -> None:
        """Copies the rows of some keys as they are now, where they differ from their copies, and
        deletes the copies of those that are no more. `absent` are keys of neither collection."""

        def lots() -> Iterator[_Lot]:
            for start in range(0, len(keys), BATCH_ROWS):
                some = list(keys[start : start + BATCH_ROWS])
                found: set[Key] = set()
                for batch, partition in by_keys(self._milvus, self.source, self.columns.read, some):
                    found |= set(batch.column(self.columns.key).to_pylist())
                    yield from self._changed(batch, partition, _NO_PASS)
                gone = [key for key in some if key not in found]
                copied = self._journal.marks(gone)
                self.absent |= set(gone) - copied.keys()
                self._remove(list(copied))

        self._copy(lots(), len(keys))

    def _changed(self, batch: pa.RecordBatch, partition: str, number: int) -> Iterator[_Lot]:
        """What of a batch has to be embedded; the other rows are noted as seen."""
        keys = batch.column(self.columns.key).to_pylist()
        marks = self.columns.marks(batch)
        known = self._journal.marks(keys)
        ats = self._numbers(batch)
        todo, same = [], {}
        for row, (key, mark) in enumerate(zip(keys, marks, strict=True)):
            noted = known.get(key)
            again = key in self._under_way or (noted is not None and noted[1] == number)
            if again and number != _NO_PASS and len(self.twice) < 5:
                self.twice.append(key)
            if noted is None or noted[0] != mark or key in self._under_way:
                todo.append(row)
                self._under_way.add(key)
            else:
                same[key] = ats[row]
        if same:
            self._journal.seen(same, number)
        for start in range(0, len(todo), BATCH_ROWS):
            some = todo[start : start + BATCH_ROWS]
            yield _Lot(batch.take(pa.array(some)), partition, [marks[i] for i in some], number)

    def _copy(self, lots: Iterable[_Lot], size: int) -> None:
        """Has the texts of lots embedded, and writes and notes one lot after the other."""
        waiting: deque[_Lot] = deque()
        self._under_way.clear()

        def texts() -> Iterator[Sequence[str]]:
            for lot in lots:
                waiting.append(lot)
                yield self._texts_of(lot)

        for vectors in self._spread.run(texts(), size):
            self._write(waiting.popleft(), vectors)

    def _texts_of(self, lot: _Lot) -> Sequence[str]:
        texts = lot.rows.column(self.columns.text).to_pylist()
        keys = lot.rows.column(self.columns.key)
        empty = next((i for i, text in enumerate(texts) if text is None), None)
        if empty is not None:
            raise ReembedRefused(
                f"rows of `{self.source.name}` have no text to embed, such as `{keys[empty]}`",
                hint="give them one, or delete them; then run it again",
                subject=self.source.name,
            )
        return texts  # type: ignore[no-any-return]

    def _write(self, lot: _Lot, vectors: Vectors) -> None:
        keys = lot.rows.column(self.columns.key).to_pylist()
        now = int(time.time() * 1000)
        rows = self.columns.made(lot.rows, self.shadow.schema, vectors, self._spread.label, now)
        self._milvus.columnar.upsert(
            self.shadow.name, self.shadow.schema, rows, partition=lot.partition
        )
        content = self._texts(lot.rows, self.columns.content)
        noted = map(Copied, keys, lot.marks, content, self._numbers(lot.rows))
        self._journal.note(noted, lot.number)
        self._under_way.difference_update(keys)
        self.embedded += len(keys)

    def _gone(self, keys: Sequence[Key], number: int) -> None:
        """Deletes copies that a pass found no row for, but for rows that are there after all."""
        there: set[Key] = set()
        for batch, _ in by_keys(self._milvus, self.source, [self.columns.key], keys):
            there |= set(batch.column(self.columns.key).to_pylist())
        if there:  # written while the pass was under way
            self._journal.seen(dict.fromkeys(there), number)
        self._remove([key for key in keys if key not in there])

    def _remove(self, keys: Sequence[Key]) -> None:
        if not keys:
            return
        self._milvus.delete(self.shadow.name, keys)
        left = [b for b, _ in by_keys(self._milvus, self.shadow, [self.columns.key], keys)]
        if left:
            raise ReembedError(
                f"rows of `{self.shadow.name}` are still there after their deletion, such as "
                f"`{left[0].column(0)[0]}`",
                hint="run it again; if it stays so, compact the collection",
                subject=self.shadow.name,
            )
        self._journal.forget(keys)
        self.removed += len(keys)

    def _numbers(self, batch: pa.RecordBatch) -> list[int | None]:
        name = self.columns.at
        nothing: list[int | None] = [None] * batch.num_rows
        return nothing if name is None else batch.column(name).to_pylist()

    @staticmethod
    def _texts(batch: pa.RecordBatch, name: str | None) -> list[str | None]:
        nothing: list[str | None] = [None] * batch.num_rows
        if name is None:
            return nothing
        return [None if v is None else str(v) for v in batch.column(name).to_pylist()]
