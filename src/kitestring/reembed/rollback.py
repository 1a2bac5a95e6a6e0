"""The way back: clients on the old collection again, or a re-embedding given up."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.registry import change_registry
from kitestring.errors import ReembedError, ReembedRefused
from kitestring.ingest.ledger import Ledger, open_ledger
from kitestring.model.reembed import (
    BEFORE_CUTOVER,
    CUT_OVER,
    DISCARDED,
    DISCARDING,
    FINISHING,
    RETURNING,
    ROLLED_BACK,
    SWITCHING,
    Operation,
)
from kitestring.reembed.cutover import move_aliases, point_at
from kitestring.reembed.record import held, journal_file, save
from kitestring.reembed.shadow import is_ours
from kitestring.reembed.work import under_way
from kitestring.spec.loaded import LoadedSpec


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """What a way back came to.

    `seconds`: from its start until the server and the registry say the old collection; None
    where clients were never on another one. `ingested` counts rows that ingestion wrote or
    deleted in the new collection since the cutover, and that the old one does not have.
    """

    operation: Operation
    seconds: float | None
    ingested: int
    discarded: bool
    schema_version: int = 1


def rollback(
    loaded: LoadedSpec, milvus: Milvus, name: str, *, discard: bool = False
) -> RollbackReport:
    """After a cutover: puts clients back on the old collection; the new one is kept, for another
    cutover. Before one: gives the re-embedding up and drops the shadow collection.

    Args:
        discard: give it up after a cutover too.

    Raises:
        ReembedRefused: the old collection is gone, or there is nothing to roll back.
        ReembedBusy: another process is at it.
        MilvusError: run it again.
    """
    start = time.perf_counter()
    with held(loaded, under_way(loaded, name).source):
        operation = under_way(loaded, name)
        if operation.state == FINISHING:
            raise ReembedRefused(
                f"`{operation.source}` is being dropped: there is nothing to go back to",
                hint="`kitestring reembed finish`, then plan a re-embedding by "
                f"`{operation.model_from}`",
                subject=operation.source,
            )
        seconds, ingested = None, 0
        if operation.state in (SWITCHING, CUT_OVER, RETURNING):
            operation = _returned(loaded, milvus, operation, start)
            seconds = operation.rollback_seconds
            with open_ledger(loaded, create=False) as ledger:
                ingested = _ingested(ledger, operation)
        early = operation.state in (*BEFORE_CUTOVER, DISCARDING)
        if early or (discard and operation.state == ROLLED_BACK):
            operation = _discarded(loaded, milvus, operation)
        return RollbackReport(operation, seconds, ingested, operation.state == DISCARDED)


def _returned(loaded: LoadedSpec, milvus: Milvus, operation: Operation, start: float) -> Operation:
    info = milvus.describe(operation.source)
    if (info.name, info.id) != (operation.source, operation.source_id) or not info.loaded:
        what = "is not loaded" if info.id == operation.source_id else "is another collection now"
        raise ReembedRefused(
            f"`{operation.source}` {what}: clients would get nothing from it",
            hint="load it, then run this again; clients are on the new collection meanwhile",
            subject=operation.source,
        )
    operation = save(loaded, operation, state=RETURNING)
    _doubt(loaded, operation)
    move_aliases(milvus, operation, operation.source)
    point_at(loaded, operation, operation.source)
    seconds = time.perf_counter() - start
    return save(loaded, operation, state=ROLLED_BACK, rollback_seconds=seconds, cut_over_at=None)


def _doubt(loaded: LoadedSpec, operation: Operation) -> None:
    """The new collection was live: what is in it has to be read again before a copy goes on."""
    journal_file(loaded, operation).unlink(missing_ok=True)
    for suffix in ("-wal", "-shm"):
        path = journal_file(loaded, operation)
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _ingested(ledger: Ledger, operation: Operation) -> int:
    """Rows of which the ledger says another thing for the new collection than for the old one."""
    if not ledger.has(operation.shadow):
        return 0
    old = {row.key: row.content_hash for row in ledger.rows(operation.source)}
    new = {row.key: row.content_hash for row in ledger.rows(operation.shadow)}
    return sum(old.get(key) != new.get(key) for key in old.keys() | new.keys())


def _discarded(loaded: LoadedSpec, milvus: Milvus, operation: Operation) -> Operation:
    """Drops the shadow collection, if it is the one that the operation made."""
    operation = save(loaded, operation, state=DISCARDING)
    if milvus.has_collection(operation.shadow):
        info = milvus.describe(operation.shadow)
        led = [a for a in operation.aliases if milvus.alias_owner(a) == operation.shadow]
        if led:
            raise ReembedError(
                f"the alias `{led[0]}` points to `{operation.shadow}`: it is not dropped",
                hint="somebody moved it: point it back, then run this again",
                subject=operation.shadow,
            )
        if info.name == operation.shadow and is_ours(info, operation):
            milvus.drop_collection(operation.shadow)
    _doubt(loaded, operation)
    forget(loaded, operation.shadow)
    change_registry(loaded, lambda registry: registry.without_member(operation.shadow))
    return save(loaded, operation, state=DISCARDED)


def forget(loaded: LoadedSpec, collection: str) -> None:
    """Takes a collection that is no more out of the ledger."""
    with open_ledger(loaded, create=False) as ledger:
        if ledger.has(collection):
            with ledger.run(collection) as run:
                ledger.forget_collection(run)
