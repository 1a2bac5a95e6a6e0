"""What a source of rows is: units that are read apart, from segment files or over the API."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitestring.backup.logical.changes import Comparison, Mask
from kitestring.backup.logical.index import MARK, Index, Prints
from kitestring.model.collection import Schema
from kitestring.model.digest import row_hashes
from kitestring.spec.loaded import LoadedSpec

Stamps = npt.NDArray[np.int64]
THREADS = max(2, min(4, os.cpu_count() or 2))
_WAIT = 1.0  # seconds between two signs of life


@dataclass(frozen=True, slots=True)
class Unit:
    """Some of a collection's rows, all of one partition: a segment, or a range of keys.

    `low` and `high` are the keys between which the rows are, `low` not included; None for no end.
    """

    number: int
    partition: str  # by name; empty: not known, the server places the rows
    low: str | int | None = None
    high: str | int | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """The fields of the row contract that a collection has.

    `marks` tell one state of a row from another; there are none where the content hash or the
    time of embedding is missing. `label` names the row's embedding model.
    """

    marks: tuple[str, ...] = ()
    label: str | None = None


class Source(Protocol):
    """Where the rows of one collection come from."""

    @property
    def read_by(self) -> str:
        """`segments` or `api`."""
        ...

    @property
    def apart(self) -> bool:
        """Whether each unit is best read by the thread that works on its rows."""
        ...

    @property
    def threads(self) -> int:
        """How many are at work at a time."""
        ...

    def survey(
        self, by: str, comparison: Comparison | None, beat: Callable[[], None]
    ) -> Iterable[Unit]:
        """The units. With a comparison, their rows' keys and prints go into it meanwhile."""
        ...

    def deleted(self, limit: int) -> pa.Array:
        """Some keys that were deleted before the boundary, and may have come back."""
        ...

    def rows(
        self, unit: Unit, wanted: Mask | None
    ) -> Iterator[tuple[pa.RecordBatch, Stamps | None]]:
        """The rows of a unit, or those at the positions that are true, in the order of the survey;
        with Milvus's timestamps where they can be known."""
        ...


def contract_of(loaded: LoadedSpec, name: str, schema: Schema) -> Contract:
    """What a collection has of the row contract, under the names that the spec gives it."""
    spec = loaded.spec.collection(name)

    def there(role: str) -> str | None:
        field = getattr(spec.fields, role) if spec is not None else role
        return field if field and schema.field(field) is not None else None

    content, embedded = there("content_hash"), there("last_embedded_at")
    label = there("embedding_model")
    if content is None or embedded is None:
        return Contract((), label)
    more = [name for name in (label, there("chunker")) if name]
    return Contract((content, embedded, *more), label)


def marks_of(batch: pa.RecordBatch, contract: Contract) -> Prints:
    """A hash of what the contract says of each row; it has to say enough."""
    _, content = row_hashes(batch.select(contract.marks), contract.marks[0])
    return np.ascontiguousarray(content[:, :MARK])


def entries(
    batch: pa.RecordBatch, schema: Schema, contract: Contract, stamps: Stamps | None
) -> Index:
    """The index of a batch that has all columns."""
    keys, content = row_hashes(batch, schema.primary.name)
    marks = marks_of(batch, contract) if contract.marks else None
    labels = None
    if contract.label is not None:
        labels = batch.column(contract.label).cast(pa.string()).fill_null("")
    return Index(keys, content, stamps, marks, labels)


def in_threads(
    work: Callable[[Any], Any],
    items: Iterable[Any],
    beat: Callable[[], None],
    *,
    threads: int = THREADS,
    ahead: int = 1,
) -> Iterator[Any]:
    """The results of `work` of each item, in any order; a few are at work at a time.

    Nothing is left running when the caller's thread is interrupted or an item fails.

    Args:
        beat: called often, in the caller's thread; what it raises ends everything.
        ahead: items that wait for a thread.
    """
    left = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="rows") as executor:
        running: set[Future[Any]] = set()
        try:
            while True:
                while len(running) < threads + ahead:
                    try:
                        item = next(left)
                    except StopIteration:
                        break
                    running.add(executor.submit(work, item))
                    if any(future.done() for future in running):
                        break  # a survey may take longer than the work
                if not running:
                    return
                finished, running = wait(running, _WAIT, return_when=FIRST_COMPLETED)
                beat()
                for future in finished:
                    yield future.result()
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise


def each_batch(
    units: Iterable[Any],
    read: Callable[[Any], Iterable[Any]],
    work: Callable[[Any], Any],
    beat: Callable[[], None],
    *,
    apart: bool,
    threads: int = THREADS,
) -> Iterator[Any]:
    """The results of `work` of every batch that `read` gives of each unit, in any order.

    Args:
        apart: a thread reads a unit and works on its batches. Without it one thread reads all
            and the others work: for units that are few, or that threads of their own decode.
        beat: as of `in_threads`.
    """
    if not apart:
        batches = (batch for unit in units for batch in read(unit))
        yield from in_threads(work, batches, beat, threads=threads, ahead=0)
        return

    def whole(unit: Any) -> list[Any]:
        return [work(batch) for batch in read(unit)]

    for found in in_threads(whole, units, beat, threads=threads, ahead=0):
        yield from found


def each_once(columns: Iterable[str]) -> list[str]:
    """The names, each once, in their order."""
    return list(dict.fromkeys(columns))
