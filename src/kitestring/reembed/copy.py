"""Copies rows into the shadow collection with vectors of the new model.

Whatever happens, a pass comes to the same end: a row whose copy is already as it should be is
passed over, others are embedded and upserted under the same key, and copies without a row are
deleted. So a killed copy is continued by the next one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import pyarrow as pa

from kitestring.clients.embedder import Embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import ReembedError, ReembedRefused
from kitestring.model.collection import CollectionInfo
from kitestring.model.reembed import CopyProgress, OnProgress
from kitestring.reembed.columns import Columns
from kitestring.reembed.journal import Copied, Journal, Key
from kitestring.reembed.rows import by_keys, read_rows
from kitestring.spec.loaded import LoadedSpec

BATCH_ROWS = 256  # embedded, written and noted together
_NO_PASS = 0


class Copier:
    """Copies from one collection into another; `embedded` and `removed` count what it did."""

    def __init__(
        self,
        loaded: LoadedSpec,
        milvus: Milvus,
        journal: Journal,
        embedder: Embedder,
        source: CollectionInfo,
        shadow: CollectionInfo,
        columns: Columns,
        progress: OnProgress | None = None,
    ) -> None:
        self._loaded, self._milvus, self._journal = loaded, milvus, journal
        self._embedder, self.columns = embedder, columns
        self.source, self.shadow = source, shadow
        self._progress = progress
        self.embedded = self.removed = 0
        self.twice: list[Key] = []  # keys that stand for more than one row; a few
        self.absent: set[Key] = set()

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
            EmbedderFailed, DimensionMismatch, MilvusError: run it again.
        """
        number = self._journal.next_pass()
        seen = 0

        def start() -> None:
            nonlocal number, seen
            number, seen = self._journal.next_pass(), 0
            self.twice.clear()

        def take(batch: pa.RecordBatch, partition: str) -> None:
            nonlocal seen
            self._take(batch, partition, number)
            seen += batch.num_rows
            if self._progress is not None:
                self._progress(CopyProgress(seen, max(total, seen), self.embedded))

        how = read_rows(
            self._loaded, self._milvus, self.source.name, self.columns.read, start, take
        )
        for keys in self._journal.unseen(number):
            self._gone(keys, number)
        return how

    def take_keys(self, keys: Sequence[Key]) -> None:
        """Copies the rows of some keys as they are now, where they differ from their copies, and
        deletes the copies of those that are no more. `absent` are keys of neither collection."""
        for start in range(0, len(keys), BATCH_ROWS):
            some = list(keys[start : start + BATCH_ROWS])
            found: set[Key] = set()
            for batch, partition in by_keys(self._milvus, self.source, self.columns.read, some):
                found |= set(batch.column(self.columns.key).to_pylist())
                self._take(batch, partition, _NO_PASS)
            gone = [key for key in some if key not in found]
            copied = self._journal.marks(gone)
            self.absent |= set(gone) - copied.keys()
            self._remove(list(copied))

    def _take(self, batch: pa.RecordBatch, partition: str, number: int) -> None:
        keys = batch.column(self.columns.key).to_pylist()
        marks = self.columns.marks(batch)
        known = self._journal.marks(keys)
        ats = self._numbers(batch)
        todo, same = [], {}
        for row, (key, mark) in enumerate(zip(keys, marks, strict=True)):
            noted = known.get(key)
            if noted is not None and noted[1] == number != _NO_PASS and len(self.twice) < 5:
                self.twice.append(key)
            if noted is None or noted[0] != mark:
                todo.append(row)
            else:
                same[key] = ats[row]
        if same:
            self._journal.seen(same, number)
        for start in range(0, len(todo), BATCH_ROWS):
            some = todo[start : start + BATCH_ROWS]
            self._write(batch.take(pa.array(some)), partition, [marks[i] for i in some], number)

    def _write(
        self, batch: pa.RecordBatch, partition: str, marks: Sequence[bytes], number: int
    ) -> None:
        keys = batch.column(self.columns.key).to_pylist()
        texts = batch.column(self.columns.text).to_pylist()
        empty = [key for key, text in zip(keys, texts, strict=True) if text is None]
        if empty:
            raise ReembedRefused(
                f"rows of `{self.source.name}` have no text to embed, such as `{empty[0]}`",
                hint="give them one, or delete them; then run it again",
                subject=self.source.name,
            )
        vectors = self._embedder.embed(texts)
        now = int(time.time() * 1000)
        rows = self.columns.made(batch, self.shadow.schema, vectors, self._embedder.label, now)
        self._milvus.columnar.upsert(
            self.shadow.name, self.shadow.schema, rows, partition=partition
        )
        content = self._texts(batch, self.columns.content)
        noted = map(Copied, keys, marks, content, self._numbers(batch))
        self._journal.note(noted, number)
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
