"""Sets the ledger straight against the collection before an ingestion relies on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby, islice
from operator import itemgetter

from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.milvus.wire import quote
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
) -> list[str]:
    """Makes the ledger say of `documents` only what the collection really has.

    The rows are compared when the collection is another one than at the last run, when it has
    another number of rows than the ledger, or with `verify`. A row of these documents that is
    missing or differs is forgotten, so that it will be written again. A ledger that was lost is
    built anew from the collection's rows. Returns notes for the user.
    """
    name = wanted.name
    known, stored = ledger.count(name), milvus.count(name)
    if not ledger.has(name) and stored:
        adopted = _adopt(milvus, ledger, run, info, wanted)
        note = f"the ledger did not know `{name}`: {adopted:,} of its {stored:,} rows were entered"
        ledger.bind(run, info.id)
        return [note]
    same = ledger.milvus_id(name) in (None, info.id)
    notes = []
    if known and (verify or not same or known != stored):
        wrong = list(_differing(milvus, ledger, wanted, tenant, documents))
        ledger.forget(run, wrong)
        if wrong:
            notes.append(
                f"{len(wrong):,} rows that the ledger has are missing or changed in `{name}`; "
                "they are written again"
            )
    ledger.bind(run, info.id)
    return notes


def _differing(
    milvus: Milvus, ledger: Ledger, wanted: CollectionSpec, tenant: str, documents: Collection[str]
) -> Iterator[str]:
    """Keys that the ledger has and the collection has not, or with other labels or text."""
    fields = wanted.fields
    roles = [
        (field, role)
        for role in ("content_hash", "embedding_model", "chunker")
        if (field := getattr(fields, role))
    ]
    columns = [fields.id, *(field for field, _ in roles)]
    stored = (
        row
        for batch in milvus.scan(wanted.name, columns)
        for row in zip(*_lists(batch), strict=True)
    )
    there = next(stored, None)
    for row in ledger.rows(wanted.name, tenant):
        while there is not None and there[0] < row.key:
            there = next(stored, None)
        same = (
            there is not None
            and there[0] == row.key
            and all(getattr(row, role) == there[i] for i, (_, role) in enumerate(roles, 1))
        )
        if not same and row.doc_id in documents:
            yield row.key


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
            ledger.enter(run, tenant, entered)
            adopted += len(entered)
    return adopted


def _lists(batch: object) -> list[list[object]]:
    return [column.to_pylist() for column in batch.columns]  # type: ignore[attr-defined]
