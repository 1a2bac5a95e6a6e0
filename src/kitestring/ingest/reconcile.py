"""Sets the ledger straight against the collection before an ingestion relies on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from kitestring.clients.milvus.duplicates import Batch, locate
from kitestring.clients.milvus.filters import quote
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import MixedRows
from kitestring.ingest.ledger import Ledger, Run
from kitestring.model.collection import CollectionInfo
from kitestring.model.ledger import LedgerRow
from kitestring.spec.models import CollectionSpec

_STEP = 4096  # rows for each transaction


def refuse_mixed(
    milvus: Milvus, ledger: Ledger, wanted: CollectionSpec, model: str, chunker: str
) -> None:
    """Refuses to write where rows of another model or chunker are.

    Raises:
        MixedRows: it names what was found.
    """
    found = {labels for labels in ledger.labels(wanted.name) if labels != (model, chunker)}
    other = next(iter(sorted(found)), None) or _stranger(milvus, wanted, model, chunker)
    if other is None:
        return
    what = [
        f"the {kind} `{there}`, the spec says `{said}`"
        for kind, there, said in (("model", other[0], model), ("chunker", other[1], chunker))
        if there != said
    ]
    raise MixedRows(
        f"`{wanted.name}` has rows made with {' and '.join(what)}",
        hint="searches over a mix are wrong: ingest into a new collection and move the alias, or "
        "`--allow-mixed` to overwrite the rows of the documents given",
        subject=wanted.name,
    )


def _stranger(
    milvus: Milvus, wanted: CollectionSpec, model: str, chunker: str
) -> tuple[str, str] | None:
    """The labels of one row on the server that differ from the spec's; None without one."""
    fields = wanted.fields
    said = [(f, v) for f, v in ((fields.embedding_model, model), (fields.chunker, chunker)) if f]
    if not said:
        return None
    differs = " or ".join(f"{field} != {quote(value)}" for field, value in said)
    names = [field for field, _ in said]
    for batch in milvus.scan(wanted.name, names, filter=differs, batch_rows=1):
        row = batch.to_pylist()[0]
        return (
            row.get(fields.embedding_model, model),
            row.get(fields.chunker, chunker),
        )
    return None


@dataclass(frozen=True, slots=True)
class Settled:
    """What comparing the ledger with the collection came to."""

    notes: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()  # keys of the tenant's rows that the ledger has not


def settle(
    milvus: Milvus,
    ledger: Ledger,
    run: Run,
    info: CollectionInfo,
    wanted: CollectionSpec,
    *,
    tenant: str,
    documents: Collection[str],
    verify: bool,
) -> Settled:
    """Makes the ledger say of `documents` only what the collection really has.

    The rows are compared when the collection is another one than at the last run, when it has
    another number of rows than the ledger, or with `verify`. A row of these documents that is
    missing, differs, or is there more than once is forgotten, so that it will be written again
    (an upsert replaces every row of its key). A ledger that was lost is built anew from the
    collection's rows.
    """
    name = wanted.name
    known, stored = ledger.count(name), milvus.count(name)
    if not ledger.has(name) and stored:
        adopted = _adopt(milvus, ledger, run, info, wanted)
        note = f"the ledger did not know `{name}`: {adopted:,} of its {stored:,} rows were entered"
        ledger.bind(run, info.id)
        return Settled((note,))
    same = ledger.milvus_id(name) in (None, info.id)
    notes: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    if known and (verify or not same or known != stored):
        differing = _Differences(milvus, ledger, wanted, tenant, documents)
        wrong = differing.find(stored)
        ledger.forget(run, wrong)
        strangers = tuple(differing.strangers)
        if wrong:
            notes = (
                f"{len(wrong):,} rows that the ledger has are missing, changed or doubled in "
                f"`{name}`; they are written again",
            )
    ledger.bind(run, info.id)
    return Settled(notes, strangers)


class _Differences:
    """Compares the tenant's rows in the ledger with those of the collection, both by key."""

    def __init__(
        self,
        milvus: Milvus,
        ledger: Ledger,
        wanted: CollectionSpec,
        tenant: str,
        documents: Collection[str],
    ) -> None:
        self.strangers: list[str] = []
        self._milvus, self._ledger, self._wanted = milvus, ledger, wanted
        self._tenant, self._documents = tenant, documents
        self._batches: list[Batch] = []
        fields = wanted.fields
        self._roles = [
            (field, role)
            for role in ("content_hash", "embedding_model", "chunker")
            if (field := getattr(fields, role))
        ]
        self._columns = [fields.id, *(field for field, _ in self._roles)]
        self._columns += [fields.tenant_id] if fields.tenant_id else []

    def find(self, stored: int) -> list[str]:
        """Keys of the ledger that are missing, changed or doubled in the collection, which has
        `stored` rows by its own count."""
        wrong = set(self._unequal())
        keys = sum(batch.keys for batch in self._batches)
        if stored > keys:
            twice = locate(
                self._milvus,
                self._wanted.name,
                self._wanted.fields.id,
                self._batches,
                counted=stored,
                examples=None,
            )
            mine = {row.key for row in self._mine()} if twice else set()
            wrong |= mine & set(twice.examples if twice else ())
        return sorted(wrong)

    def _mine(self) -> Iterator[LedgerRow]:
        rows = self._ledger.rows(self._wanted.name, self._tenant)
        return (row for row in rows if row.doc_id in self._documents)

    def _unequal(self) -> Iterator[str]:
        there = self._stored()
        row = next(there, None)
        for known in self._ledger.rows(self._wanted.name, self._tenant):
            while row is not None and row[0] < known.key:
                self._is_stranger(row)
                row = next(there, None)
            found = row is not None and row[0] == known.key
            same = found and all(
                getattr(known, role) == value
                for (_, role), value in zip(self._roles, row[1:] if row else (), strict=False)
            )
            if not same and known.doc_id in self._documents:
                yield known.key
            if found:
                row = next(there, None)
        while row is not None:
            self._is_stranger(row)
            row = next(there, None)

    def _stored(self) -> Iterator[tuple[Any, ...]]:
        for batch in self._milvus.scan(self._wanted.name, self._columns):
            rows = list(zip(*_lists(batch), strict=True))
            self._batches.append(Batch(rows[-1][0], len(rows)))
            yield from rows

    def _is_stranger(self, row: tuple[Any, ...]) -> None:
        """Notes a row that the ledger of this tenant has not, if it is this tenant's."""
        if self._wanted.fields.tenant_id and row[-1] == self._tenant:
            self.strangers.append(row[0])


def _adopt(
    milvus: Milvus, ledger: Ledger, run: Run, info: CollectionInfo, wanted: CollectionSpec
) -> int:
    """Enters the rows of a collection that the ledger does not know; returns their number."""
    fields = wanted.fields
    columns = [
        fields.id,
        fields.doc_id,
        fields.chunk_index,
        fields.content_hash,
        fields.embedding_model,
        fields.chunker,
        fields.last_embedded_at,
    ]
    names = [name for name in columns if name is not None]
    if len(names) < len(columns):
        return 0  # not enough is known of a row to tell whether it is up to date
    asked = [*names, fields.tenant_id] if fields.tenant_id else names
    rows = (
        row for batch in milvus.scan(info.name, asked) for row in zip(*_lists(batch), strict=True)
    )
    adopted = 0
    while batch := list(islice(rows, _STEP)):
        batch.sort(key=itemgetter(-1))
        groups = groupby(batch, itemgetter(-1)) if fields.tenant_id else [("", iter(batch))]
        for tenant, members in groups:
            entered = [LedgerRow(*row[: len(names)]) for row in members]
            ledger.enter(run, tenant, entered, found=True)
            adopted += len(entered)
    return adopted


def _lists(batch: object) -> list[list[object]]:
    return [column.to_pylist() for column in batch.columns]  # type: ignore[attr-defined]
