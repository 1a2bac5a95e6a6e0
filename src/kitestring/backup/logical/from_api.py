"""Rows over the API: for servers whose object store can't be reached, or is not understood.

First the keys are read in their order, page after page; the pages of rows are then read as ranges
between two keys, several at a time. A range is answered by a filter without the sorting and
cutting off of a page, and a server gives rows of it two to four times as fast.

The boundary: every write up to it is seen by every page. Servers of 2.3 have no reading of the
past over the API, so of what is written while the pages are read, some is in and some is not; each
row is whole.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from kitestring.backup.logical.changes import Comparison, Mask
from kitestring.backup.logical.source import Contract, Stamps, Unit, each_once, marks_of
from kitestring.backup.logical.where import Filter
from kitestring.clients.milvus.filters import among, every, within
from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.arrow import arrow_schema, arrow_type
from kitestring.model.collection import CollectionInfo
from kitestring.model.digest import key_hashes

PAGE = 4 * 1024 * 1024  # bytes of an answer, about
_MOST = 8192  # rows of a page; servers give 16,384 at most
_SAMPLE = 64  # rows whose size is looked at
_FEW = 0.5  # part of a unit's rows below which they are asked for by key


class FromApi:
    """The rows of a loaded collection; a unit is a range of keys.

    Args:
        since: see `MilvusColumnar.page`.
        partitions: names of those to read; None for all.
    """

    read_by = "api"
    apart = True
    threads = 4  # a server answers as many at a time; they wait, most of the time

    def __init__(
        self,
        milvus: Milvus,
        info: CollectionInfo,
        since: int | None,
        contract: Contract,
        where: Filter | None = None,
        partitions: Sequence[str] | None = None,
    ) -> None:
        self._milvus, self._info, self._since = milvus.columnar, info, since
        self._contract = contract
        self._filter = where.as_milvus() if where is not None else ""
        self._key = info.schema.primary
        by_key = any(f.partition_key for f in info.schema.fields)
        # the server answers for a partition of a key only when it is not named
        named = [p.name for p in info.partitions] if partitions is None else list(partitions)
        self._partitions = [""] if by_key else named
        self._columns = arrow_schema(info.schema).names
        self._keys = _Keys()

    def survey(
        self, by: str, comparison: Comparison | None, beat: Callable[[], None]
    ) -> Iterable[Unit]:
        marks = self._contract.marks if comparison is not None else ()
        columns = each_once((self._key.name, *marks))
        size = self._page_rows()
        number = 0
        for partition in self._partitions:
            low: str | int | None = None
            while True:
                batch = self._page(columns, self._range(low, None), partition, size)
                beat()
                if not batch.num_rows:
                    break
                keys = batch.column(self._key.name)
                high = keys[len(keys) - 1].as_py()
                if comparison is not None:
                    prints = marks_of(batch, self._contract)
                    comparison.now(number, partition, key_hashes(keys), prints)
                    self._keys.add(keys)
                yield Unit(number, partition, low, high)
                low, number = high, number + 1
            # keys beyond the last one seen: rows that came meanwhile stay out, as they may

    def deleted(self, limit: int) -> pa.Array:
        return pa.array([], arrow_type(self._key))

    def rows(
        self, unit: Unit, wanted: Mask | None
    ) -> Iterator[tuple[pa.RecordBatch, Stamps | None]]:
        if wanted is None:
            within = self._range(unit.low, unit.high)
            yield self._page(self._columns, within, unit.partition, None), None
            return
        if not wanted.any():
            return
        keys = self._keys.get(unit.number).filter(pa.array(wanted))
        if len(keys) > _FEW * len(wanted):
            within = self._range(unit.low, unit.high)
            batch = self._page(self._columns, within, unit.partition, None)
            yield batch.filter(pc.is_in(batch.column(self._key.name), keys)), None
            return
        asked = among(self._key.name, keys.to_pylist())
        yield self._page(self._columns, asked, unit.partition, None), None

    def _page_rows(self) -> int:
        """How many rows make a page."""
        everything = self._range(None, None)
        for partition in self._partitions:
            batch = self._page(self._columns, everything, partition, _SAMPLE)
            if batch.num_rows:
                each = max(1, batch.nbytes // batch.num_rows)
                return int(max(16, min(_MOST, PAGE // each)))
        return _MOST

    def _page(
        self, columns: Sequence[str], expression: str, partition: str, limit: int | None
    ) -> pa.RecordBatch:
        both = f"({expression}) and ({self._filter})" if self._filter else expression
        return self._milvus.page(
            self._info.name, self._info.schema, columns, both,
            partition=partition, limit=limit, since=self._since,
        )  # fmt: skip

    def _range(self, low: str | int | None, high: str | int | None) -> str:
        name = self._key.name
        return within(name, low, high) or every(name, text=self._key.type != "INT64")


class _Keys:
    """The keys of each unit, in a file that has no name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the source
        self._places: list[tuple[int, int]] = []

    def add(self, keys: pa.Array) -> None:
        sink = pa.BufferOutputStream()
        batch = pa.RecordBatch.from_arrays([keys], ["key"])
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        data = sink.getvalue()
        self._places.append((self._file.seek(0, 2), len(data)))
        self._file.write(data)

    def get(self, unit: int) -> pa.Array:
        begin, size = self._places[unit]
        self._file.flush()
        data = _read_at(self._file.fileno(), size, begin)
        with pa.ipc.open_stream(data) as stream:
            return stream.read_next_batch().column(0)


def _read_at(descriptor: int, size: int, at: int) -> bytes:
    data = os.pread(descriptor, size, at)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), at + len(data))):
        data += more
    return data
