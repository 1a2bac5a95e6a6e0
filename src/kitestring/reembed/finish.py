"""The end: the old collection is dropped, once it is old enough and proven to be in the new one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.registry import change_registry
from kitestring.errors import ReembedError, ReembedRefused, ReembedUnproven
from kitestring.ingest.ledger import open_ledger
from kitestring.model.digest import HASH, key_hashes
from kitestring.model.reembed import CUT_OVER, FINISHED, FINISHING, Operation
from kitestring.reembed.journal import Key
from kitestring.reembed.record import held, journal_file, now_ms, save
from kitestring.reembed.rollback import forget
from kitestring.reembed.rows import read_rows
from kitestring.reembed.status import finish_from, next_step
from kitestring.reembed.work import under_way
from kitestring.render.words import duration, when
from kitestring.spec.loaded import LoadedSpec


@dataclass(frozen=True, slots=True)
class FinishReport:
    """What a finish came to. `gone` counts rows of the old collection that ingestion deleted
    after the cutover, `accepted` those that the user let go."""

    operation: Operation
    rows: int
    gone: int
    accepted: int
    schema_version: int = 1


def finish(
    loaded: LoadedSpec,
    milvus: Milvus,
    name: str,
    *,
    accept_missing: bool = False,
    now: int | None = None,
) -> FinishReport:
    """Drops the old collection of a cutover, and what is kept for a way back.

    Args:
        accept_missing: also where rows of it are not in the new one, and the ledger does not say
            that ingestion deleted them.
        now: ms since the epoch; for tests.

    Raises:
        ReembedRefused: the retention is not over, the spec was not edited, or no cutover was made.
        ReembedUnproven: rows are missing in the new collection; nothing was dropped.
        ReembedBusy: another process is at it.
    """
    with held(loaded, under_way(loaded, name).source):
        operation = under_way(loaded, name)
        if operation.state == FINISHING:
            return FinishReport(_dropped(loaded, milvus, operation), 0, 0, 0)
        _refuse_early(loaded, operation, now_ms() if now is None else now)
        rows, gone, missing = _proof(loaded, milvus, operation)
        if missing and not accept_missing:
            shown = ", ".join(map(str, missing[:5]))
            raise ReembedUnproven(
                f"{len(missing):,} of {rows:,} rows of `{operation.source}` are not in "
                f"`{operation.shadow}`, such as {shown}; nothing was dropped",
                hint="ingest their documents again; if they were deleted on purpose, "
                "`kitestring reembed finish --accept-missing`",
                subject=operation.source,
            )
        operation = save(loaded, operation, state=FINISHING)
        done = _dropped(loaded, milvus, operation)
        return FinishReport(done, rows, gone, len(missing))


def _refuse_early(loaded: LoadedSpec, operation: Operation, now: int) -> None:
    def refused(message: str, hint: str) -> ReembedRefused:
        return ReembedRefused(message, hint=hint, subject=operation.source)

    if operation.state != CUT_OVER or operation.cut_over_at is None:
        raise refused(
            f"clients of `{operation.source}` are not on `{operation.shadow}`: it is "
            f"{operation.state}",
            next_step(loaded, operation),
        )
    edits = loaded.edits()
    if edits:
        raise refused(
            "the spec does not say yet what is live: " + "; ".join(edits),
            "edit these lines, see `kitestring drift` clean, then finish",
        )
    if now < operation.cut_over_at:
        raise refused(
            f"the cutover was at {when(operation.cut_over_at)}, and the clock says {when(now)}",
            "set this host's clock right",
        )
    begins = finish_from(loaded, operation)
    if begins is not None and now < begins:
        raise refused(
            f"`{operation.source}` is kept until {when(begins)}, another "
            f"{duration((begins - now) / 1000)}",
            "until then `kitestring reembed rollback` leads back to it; `reembed.retention` of the "
            "collection in the spec says how long",
        )


def _proof(loaded: LoadedSpec, milvus: Milvus, operation: Operation) -> tuple[int, int, list[Key]]:
    """Rows of the old collection, how many of them ingestion deleted since, and the keys of those
    that are not in the new one for no known reason."""
    key = milvus.describe(operation.source).schema.primary.name
    there: list[npt.NDArray[np.void]] = []

    def keep(batch: pa.RecordBatch, _: str) -> None:
        there.append(_hashes(batch.column(0)))

    read_rows(loaded, milvus, operation.shadow, [key], there.clear, keep)
    new = np.unique(np.concatenate(there)) if there else np.empty(0, f"V{HASH}")
    rows, missing = 0, list[Key]()

    def start() -> None:
        nonlocal rows
        rows = 0
        missing.clear()

    def look(batch: pa.RecordBatch, _: str) -> None:
        nonlocal rows
        rows += batch.num_rows
        absent = ~np.isin(_hashes(batch.column(0)), new)
        missing.extend(batch.column(0).filter(pa.array(absent)).to_pylist())

    read_rows(loaded, milvus, operation.source, [key], start, look)
    if not missing:
        return rows, 0, []
    lost = {str(k) for k in missing}
    with open_ledger(loaded, create=False) as ledger:
        had = {row.key for row in ledger.rows(operation.source) if row.key in lost}
        has = {row.key for row in ledger.rows(operation.shadow) if row.key in lost}
    deleted = had - has
    return rows, len(deleted), [k for k in missing if str(k) not in deleted]


def _hashes(keys: pa.Array) -> npt.NDArray[np.void]:
    return np.ascontiguousarray(key_hashes(keys)).view(f"V{HASH}").ravel()


def _dropped(loaded: LoadedSpec, milvus: Milvus, operation: Operation) -> Operation:
    if milvus.has_collection(operation.source):
        info = milvus.describe(operation.source)
        led = [a for a in operation.aliases if milvus.alias_owner(a) == operation.source]
        if led:
            raise ReembedError(
                f"the alias `{led[0]}` points to `{operation.source}`: it is not dropped",
                hint="somebody moved it: point it back, then run this again",
                subject=operation.source,
            )
        if (info.name, info.id) == (operation.source, operation.source_id):
            milvus.drop_collection(operation.source)
    forget(loaded, operation.source)
    change_registry(loaded, lambda registry: registry.without_member(operation.source))
    for suffix in ("", "-wal", "-shm"):
        path = journal_file(loaded, operation)
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return save(loaded, operation, state=FINISHED)
