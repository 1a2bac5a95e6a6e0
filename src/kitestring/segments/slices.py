"""The rows of Parquet files, as many at a time as are asked for: a large file is never decoded as
a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from kitestring.segments.binlog import PARQUET_ERRORS, first_line, unreadable

_MOST = 1 << 18  # rows that are decoded at a time: a damaged file may say that it has any number


class Slices:
    """The rows of one segment file, which may hold several Parquet files, one after the other.

    Args:
        files: all with the same columns.
        name: what errors call the segment file.
        columns: names in the files; None for all.
    """

    def __init__(
        self, files: Sequence[pq.ParquetFile], name: str, columns: Sequence[str] | None = None
    ) -> None:
        self._files, self._name, self._columns = files, name, columns
        self._batches: Iterator[pa.RecordBatch] | None = None
        self._rest: list[pa.RecordBatch] = []

    @property
    def rows(self) -> int:
        """As the files say."""
        return sum(file.metadata.num_rows for file in self._files)

    def take(self, count: int) -> pa.Table:
        """The next rows.

        Raises:
            SegmentUnreadable: there are not so many, or they can't be decoded.
        """
        if self._batches is None:
            self._batches = self._read(max(1, min(count, _MOST)))
        while sum(batch.num_rows for batch in self._rest) < count:
            batch = self._next()
            if batch is None:
                raise unreadable(self._name, "it has fewer rows than it says")
            self._rest.append(batch)
        if not self._rest:
            empty = self._files[0].schema_arrow.empty_table()
            return empty if self._columns is None else empty.select(self._columns)
        table = pa.Table.from_batches(self._rest)
        self._rest = table.slice(count).to_batches()
        return table.slice(0, count)

    def end(self) -> None:
        """Raises SegmentUnreadable where there are more rows than were taken."""
        if any(batch.num_rows for batch in self._rest) or self._next() is not None:
            raise unreadable(self._name, "it has more rows than it says")

    def _read(self, step: int) -> Iterator[pa.RecordBatch]:
        for file in self._files:
            yield from file.iter_batches(step, columns=self._columns, use_threads=False)

    def _next(self) -> pa.RecordBatch | None:
        try:
            batch = next(self._batches, None) if self._batches is not None else None
            if batch is not None:
                batch.validate(full=True)  # a flipped bit may leave a value that is no UTF-8
        except PARQUET_ERRORS as error:
            raise unreadable(self._name, f"its values can't be read: {first_line(error)}") from None
        return batch
