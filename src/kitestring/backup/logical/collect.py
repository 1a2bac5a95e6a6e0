"""Brings the rows of one collection into the pool: what changed since the backup before."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitestring.backup.logical.before import PartBefore, to_rewrite
from kitestring.backup.logical.changes import Comparison, Mask
from kitestring.backup.logical.index import Index
from kitestring.backup.logical.rows import encode_gone, read_part
from kitestring.backup.logical.source import (
    Contract,
    Source,
    Stamps,
    Unit,
    each_batch,
    entries,
    in_threads,
)
from kitestring.backup.logical.writer import PartWriter, store_object
from kitestring.backup.pool import PoolReader
from kitestring.clients.store.protocol import ObjectStore
from kitestring.model.backup import RowDigest, RowsBackup, StoredObject
from kitestring.model.collection import Schema
from kitestring.model.digest import DigestBuilder, Hashes, key_hashes

_IDLE = 4  # unfinished files that wait for more rows of their partition
_SUSPECTS = 2_000  # keys that may be deleted, which are looked at
_KEYS = 100  # deleted keys that are kept as a sample


@dataclass(frozen=True, slots=True)
class Collected:
    """The files of a collection, and what their rows come to."""

    parts: tuple[RowsBackup, ...]
    digest: RowDigest
    models: dict[str, int]
    written: tuple[StoredObject, ...]  # objects new to the pool
    deleted: tuple[str, ...] = ()  # some keys of the backup before that are no more


class Collector:
    """One collection's run.

    Args:
        folder: prefix of the keys in the pool.
        plan: told of keys before they are written.
        beat: called often, in the caller's thread.
    """

    def __init__(
        self,
        pool: ObjectStore,
        folder: str,
        name: str,
        schema: Schema,
        contract: Contract,
        *,
        plan: Callable[[list[str]], None],
        beat: Callable[[], None],
    ) -> None:
        self._pool, self._folder, self._name = pool, folder, name
        self._schema, self._contract = schema, contract
        self._plan, self._beat = plan, beat
        self._guard = threading.Lock()
        self._idle: list[PartWriter] = []
        self._parts: list[RowsBackup] = []
        self._written: list[StoredObject] = []
        self._digest = DigestBuilder(schema.primary.name)
        self._models: Counter[str] = Counter()
        self._suspects: dict[int, str] = {}  # by 64 bits of the hash: it is a sample

    def everything(self, source: Source) -> Collected:
        """All rows of a source."""
        self._watch(source.deleted(_SUSPECTS))
        self._write(source, source.survey("", None, self._beat), None)
        return self._result()

    def changes(self, source: Source, before: Sequence[PartBefore], by: str) -> Collected:
        """The rows of a source; those that the backup before has are taken over from there.

        Args:
            by: `stamp` or `mark` (see `comparable`).
        """
        with Comparison(sum(len(p.index) for p in before)) as comparison:
            for number, part in enumerate(before):
                index = part.index
                comparison.before(number, part.part.partition, index.keys, index.prints(by))
            units = list(source.survey(by, comparison, self._beat))
            changes = comparison.result(len(before), len(units))
        self._lost_keys(before, changes.kept)
        self._watch(source.deleted(_SUSPECTS))
        self._write(source, units, changes.fresh)
        rewritten = to_rewrite(before, changes.kept)
        for number in sorted(rewritten):
            self._rewrite(before[number], changes.kept[number])
            self._beat()
        self._finish_all()
        for number, kept in enumerate(changes.kept):
            if number not in rewritten and kept.any():
                self._keep(before[number], kept)
        return self._result()

    def _write(self, source: Source, units: Iterable[Unit], fresh: Sequence[Mask] | None) -> None:
        def wanted(unit: Unit) -> Mask | None:
            return None if fresh is None else fresh[unit.number]

        def store(item: tuple[Unit, pa.RecordBatch, Stamps | None]) -> None:
            unit, batch, stamps = item
            if not batch.num_rows:
                return
            index = entries(batch, self._schema, self._contract, stamps)
            writer = self._borrow(unit.partition)
            try:
                writer.add(batch, index)
            except BaseException:
                writer.abandon()
                raise
            self._give_back(writer)
            self._count(index)

        def rows(unit: Unit) -> Iterator[tuple[Unit, pa.RecordBatch, Stamps | None]]:
            return ((unit, *found) for found in source.rows(unit, wanted(unit)))

        try:
            for _ in each_batch(
                units, rows, store, self._beat, apart=source.apart, threads=source.threads
            ):
                pass
            self._finish_all()
        except BaseException:
            for writer in self._idle:
                writer.abandon()
            raise

    def _rewrite(self, before: PartBefore, kept: Mask) -> None:
        """The rows of a file that are kept, into other files."""
        reader = PoolReader(self._pool, before.part.objects)
        writer = self._borrow(before.part.partition)
        at = 0
        for batch in read_part(reader, self._schema, before.part):
            mask = kept[at : at + batch.num_rows]
            index = before.index.slice(at, batch.num_rows).select(mask)
            at += batch.num_rows
            writer.add(batch.filter(pa.array(mask)), index)
            self._count(index)
        self._give_back(writer)

    def _keep(self, before: PartBefore, kept: Mask) -> None:
        """A file of the backup before as a part of this one."""
        self._count(before.index.select(kept))
        if kept.all():
            self._parts.append(before.part)
            return
        alive = before.rows_kept(kept)
        gone, new = store_object(
            self._pool, self._folder, self._name, encode_gone(alive), ".gone.parquet", self._plan
        )
        if new:
            self._written.append(gone)
        self._parts.append(replace(before.part, rows=int(alive.sum()), gone=gone))

    def _count(self, index: Index) -> None:
        labels = index.label_counts()
        with self._guard:
            if self._suspects and len(index):
                words = _words(index.keys)
                suspects = np.fromiter(self._suspects, np.uint64)
                for word in words[np.isin(words, suspects)].tolist():
                    self._suspects.pop(word, None)
            self._digest.add_hashes(index.keys, index.content)
            self._models.update(labels)

    def _borrow(self, partition: str) -> PartWriter:
        with self._guard:
            for writer in self._idle:
                if writer.partition == partition:
                    self._idle.remove(writer)
                    return writer
        return PartWriter(self._pool, self._folder, self._name, self._schema, partition, self._plan)

    def _give_back(self, writer: PartWriter) -> None:
        with self._guard:
            self._idle.append(writer)
            surplus = self._idle.pop(0) if len(self._idle) > _IDLE else None
        if surplus is not None:
            self._finish(surplus)

    def _finish_all(self) -> None:
        with self._guard:
            writers, self._idle = self._idle, []
        for _ in in_threads(self._finish, writers, self._beat):
            pass

    def _finish(self, writer: PartWriter) -> None:
        writer.finish()
        with self._guard:
            self._parts += writer.parts
            self._written += writer.written

    def _watch(self, keys: pa.Array) -> None:
        """Keys that may be gone: those of them that no row of the backup has are kept as a
        sample of what was deleted."""
        words = _words(key_hashes(keys))
        self._suspects.update(zip(words.tolist(), map(str, keys.to_pylist()), strict=True))

    def _lost_keys(self, before: Sequence[PartBefore], kept: Sequence[Mask]) -> None:
        """Watches some keys of rows that were in the backup before, and are not now."""
        for part, mask in zip(before, kept, strict=True):
            if len(self._suspects) >= _SUSPECTS:
                return
            if mask.all():
                continue
            reader = PoolReader(self._pool, part.part.objects)
            at = 0
            for batch in read_part(reader, self._schema, part.part, [self._schema.primary.name]):
                lost = batch.column(0).filter(pa.array(~mask[at : at + batch.num_rows]))
                at += batch.num_rows
                self._watch(lost.slice(0, _SUSPECTS))

    def _result(self) -> Collected:
        parts = sorted(self._parts, key=lambda p: (p.partition, p.object.key))
        return Collected(
            tuple(parts),
            self._digest.result(),
            dict(sorted(self._models.items())),
            tuple(self._written),
            tuple(sorted(self._suspects.values())[:_KEYS]),
        )


def _words(keys: Hashes) -> npt.NDArray[np.uint64]:
    """The first half of each hash."""
    return np.ascontiguousarray(keys).view("<u8").reshape(-1, 2)[:, 0].astype(np.uint64)
