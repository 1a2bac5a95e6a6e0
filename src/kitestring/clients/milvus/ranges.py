"""Parts of a collection's rows: ranges of keys, of all partitions or of some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from kitestring.clients.milvus.filters import Key, within
from kitestring.clients.milvus.protocol import Milvus


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys above `after` and up to `upto`; None: without an end on that side.

    `partitions`: those whose rows are meant; none for all.
    """

    after: Key | None = None
    upto: Key | None = None
    partitions: tuple[str, ...] = ()

    def __str__(self) -> str:
        ends = [f"above {self.after!r}"] if self.after is not None else []
        ends += [f"up to {self.upto!r}"] if self.upto is not None else []
        said = f"the keys {' '.join(ends)}" if ends else "all keys"
        return f"{said} in {', '.join(self.partitions)}" if self.partitions else said

    def between(self, after: Key | None, upto: Key | None) -> KeyRange:
        """Other keys of the same partitions."""
        return replace(self, after=after, upto=upto)

    def count(self, milvus: Milvus, name: str, field: str, *, strong: bool = True) -> int:
        """`count(*)` of its rows. Raises MilvusError."""
        return milvus.count(
            name,
            filter=within(field, self.after, self.upto),
            partitions=self.partitions,
            strong=strong,
        )

    def scan(
        self,
        milvus: Milvus,
        name: str,
        field: str,
        columns: Sequence[str],
        *,
        batch_rows: int = 8192,
        strong: bool = True,
    ) -> Iterator[pa.RecordBatch]:
        """Its rows in the order of their keys; raises as `Milvus.scan` does."""
        return milvus.scan(
            name,
            columns,
            filter=within(field, self.after, self.upto),
            partitions=self.partitions,
            batch_rows=batch_rows,
            strong=strong,
        )


WHOLE = KeyRange()
