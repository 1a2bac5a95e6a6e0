"""Rows over the API, in the order of their keys: in one stream, or in parts side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from kitestring.clients.milvus.duplicates import Batch, locate
from kitestring.clients.milvus.filters import among
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.milvus.ranges import WHOLE, KeyRange
from kitestring.model.murmur import hash_column
from kitestring.model.tally import EXAMPLES, NOTHING, Tally
from kitestring.observe.reconcile import Place, Rows
from kitestring.observe.take import Columns, Taken, Tap
from kitestring.parallel import Executor

_FEW = 8192  # rows of a batch
_LOOKED_AT = 10  # keys that were read twice


@dataclass(frozen=True, slots=True)
class _Read:
    """One part as read, and what its `count(*)` said right after.

    `hidden`: the rows beyond the first of their key, which queries don't give. `doubt` says why
    the part may not have been read whole; empty where it was.
    """

    part: KeyRange
    taken: Taken
    batches: Sequence[Batch]
    counted: int = 0
    hidden: Tally = NOTHING
    doubt: str = ""
    again: bool = False  # read a second time


class ApiRows:
    """The rows of a loaded collection. A query hides all rows of a key but one.

    Args:
        expected: `count(*)` before.
        parts: see `api_parts`.
    """

    path = "api"

    def __init__(
        self,
        milvus: Milvus,
        name: str,
        columns: Columns,
        expected: int,
        *,
        parts: Sequence[KeyRange] = (WHOLE,),
        batch_rows: int = _FEW,
    ) -> None:
        self._milvus, self._name, self._columns = milvus, name, columns
        self._expected, self._parts, self._batch_rows = expected, parts, batch_rows
        self._read: list[_Read] = []

    def take(self, executor: Executor, folder: Path) -> Taken:
        """Reads the columns of every row that a query shows. Raises MilvusError."""
        whole = Taken()
        self._read = []
        for read in executor.run(partial(self._part, folder), list(enumerate(self._parts))):
            self._read.append(read)
            whole.take(read.taken)
        return whole

    def judge(self, counted: int) -> str:
        """Why not every row was read, or not as of one time; empty where all were.

        Args:
            counted: `count(*)` after the rows were compared.
        """
        if counted != self._expected:
            return (
                "rows were written or deleted meanwhile: "
                f"count(*) was {self._expected}, then {counted}"
            )
        if len(self._parts) == 1:
            self._read = [self._judged(self._read[0], counted)]
        doubt = next((read.doubt for read in self._read if read.doubt), "")
        total = sum(read.counted for read in self._read)
        if total != counted and not doubt:
            return f"rows came and went meanwhile: count(*) says {counted}, of the parts {total}"
        return doubt

    @property
    def moved(self) -> bool:
        """Whether a part had to be read a second time."""
        return any(read.again for read in self._read)

    def duplicates(self, across: Rows) -> tuple[Tally, str]:
        """The rows beyond the first of their key, and why there may be fewer of them.

        Args:
            across: keys that were read more than once: in several partitions, or in one after the
                other, having moved.
        """
        keys = sorted(set(self.keys(across.places[:_LOOKED_AT])))
        count = sum(read.hidden.count for read in self._read)
        examples = {key for read in self._read for key in read.hidden.examples}
        doubt = ""
        if across.count and self._there(keys) < 2 * max(1, len(keys)):
            doubt = "rows went from one partition to another meanwhile"
        elif across.count:
            count, examples = count + across.count, examples | set(keys)
        return Tally(count, tuple(sorted(examples)[:EXAMPLES])), doubt

    def keys(self, places: Sequence[Place]) -> list[str]:
        """The keys of rows, read again; of those that are no longer there, nothing."""
        found = []
        for number, position, wanted in places:
            read = self._read[number]
            begin = 0
            low = read.part.after
            for batch in read.batches:
                if position < begin + batch.keys:
                    within = read.part.between(low, batch.last)
                    found += self._with(within, wanted)
                    break
                begin, low = begin + batch.keys, batch.last
        return found

    def _part(self, folder: Path, numbered: tuple[int, KeyRange]) -> _Read:
        number, part = numbered
        read = self._once(folder, number, part)
        if not read.doubt or len(self._parts) == 1:
            return read
        # what was written between the last batch and the count makes a difference only once
        return self._once(folder, number, part, again=True)

    def _once(self, folder: Path, number: int, part: KeyRange, *, again: bool = False) -> _Read:
        key = self._columns.key
        tap = Tap(self._columns, number, folder)
        batches: list[Batch] = []
        wanted = self._columns.read()
        for batch in part.scan(self._milvus, self._name, key, wanted, batch_rows=self._batch_rows):
            if batch.num_rows:
                last = batch.column(key)[batch.num_rows - 1].as_py()
                batches.append(Batch(last, batch.num_rows))
                tap.add(batch)
        read = _Read(part, tap.finish(), batches, again=again)
        if len(self._parts) == 1:
            return read  # the count of the whole will do
        return self._judged(read, part.count(self._milvus, self._name, key))

    def _judged(self, read: _Read, counted: int) -> _Read:
        """With the rows that the queries hid, or why others may not have been read."""
        read = replace(read, counted=counted)
        keys, part = read.taken.rows, read.part
        where = "" if len(self._parts) == 1 else f" of {part}"
        if counted == keys:
            return read
        if counted < keys:
            return replace(read, doubt=f"count(*) says {counted} rows{where}, {keys} were read")
        field = self._columns.key
        found = locate(self._milvus, self._name, field, read.batches, counted=counted, part=part)
        if found is not None:
            return replace(read, hidden=found)
        doubt = (
            f"count(*) says {counted} rows{where} and {keys} keys were read; "
            "that the others are duplicates could not be shown"
        )
        return replace(read, hidden=Tally(counted - keys), doubt=doubt)

    def _there(self, keys: Sequence[str]) -> int:
        """Rows of these keys now."""
        numbers = any(isinstance(read.batches[0].last, int) for read in self._read if read.batches)
        asked = [int(key) for key in keys] if numbers else keys
        return self._milvus.count(self._name, filter=among(self._columns.key, asked)) if keys else 0

    def _with(self, within: KeyRange, wanted: int) -> list[str]:
        """The key with this hash."""
        key = self._columns.key
        for batch in within.scan(self._milvus, self._name, key, [key]):
            hashes = hash_column(batch.column(key))[:, 0].tolist()
            if wanted in hashes:
                return [str(batch.column(key)[hashes.index(wanted)].as_py())]
        return []
