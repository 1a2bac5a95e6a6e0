"""Rows that differ while something is written: each is looked at again before it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.collection import CollectionInfo
from kitestring.model.tally import EXAMPLES, Tally
from kitestring.observe.ledger_side import LedgerRows
from kitestring.observe.reconcile import Rows
from kitestring.observe.take import Columns

_ASKED = 500  # keys of one request


class SecondLook:
    """Asks both sides for single keys, as they are now.

    `doubt` says why what was found may not be all that can be told; empty where it is.
    """

    LIMIT: ClassVar[int] = 2000  # rows of each kind that are looked at

    def __init__(
        self, milvus: Milvus, info: CollectionInfo, columns: Columns, ledger: LedgerRows
    ) -> None:
        self.doubt = ""
        self._milvus, self._info, self._columns, self._ledger = milvus, info, columns, ledger

    def missing(self, rows: Rows, keys: Sequence[str]) -> Tally:
        """Args: rows: as compared; keys: of those of its places where there still is one."""
        return self._told(rows, keys, lambda said, there: said is not None and there is None)

    def orphan(self, rows: Rows, keys: Sequence[str]) -> Tally:
        return self._told(rows, keys, lambda said, there: said is None and there is not None)

    def stale(self, rows: Rows, keys: Sequence[str]) -> Tally:
        return self._told(
            rows, keys, lambda said, there: None not in (said, there) and said != there
        )

    def _told(
        self,
        rows: Rows,
        keys: Sequence[str],
        differs: Callable[[str | None, str | None], bool],
    ) -> Tally:
        """All rows, where each of them that was looked at still differs; else those that do."""
        if not rows.count:
            return Tally()
        if not self._info.loaded:
            self.doubt = "rows differ that may be on their way, and the collection is not loaded"
            return Tally()
        looked = len(rows.places)
        still = [key for key, said, there in self._sides(keys) if differs(said, there)]
        examples = tuple(sorted(still)[:EXAMPLES])
        if len(still) == looked:
            return Tally(rows.count, examples)
        if looked < rows.count:
            self.doubt = (
                f"{rows.count:,} rows differ that may be on their way; of {looked:,} that were "
                f"looked at again {len(still):,} still do"
            )
        return Tally(len(still), examples)

    def _sides(self, keys: Sequence[str]) -> Iterator[tuple[str, str | None, str | None]]:
        """Key, content hash in the ledger, and in the store (empty where it has no such field)."""
        content, key = self._columns.content_hash, self._columns.key
        numbers = self._info.schema.primary.type == "INT64"
        for start in range(0, len(keys), _ASKED):
            some = list(keys[start : start + _ASKED])
            asked = [int(one) for one in some] if numbers else some
            rows = self._milvus.get(self._info.name, asked, [key, *([content] if content else [])])
            there = {str(row[key]): "" if content is None else str(row[content]) for row in rows}
            said = self._ledger.contents(some)
            for one in some:
                yield one, said.get(one), there.get(one)
