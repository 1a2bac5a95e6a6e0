"""What a re-embedding is at, and what to do next."""

from __future__ import annotations

from dataclasses import replace

from kitestring.ingest.ledger import open_ledger
from kitestring.model.finding import Verdict
from kitestring.model.reembed import (
    COPYING,
    CREATING,
    CUT_OVER,
    DISCARDED,
    DISCARDING,
    FINISHED,
    FINISHING,
    READY,
    RETURNING,
    ROLLED_BACK,
    SWITCHING,
    Operation,
    ReembedStatus,
)
from kitestring.reembed.catchup import lag
from kitestring.reembed.journal import Journal
from kitestring.reembed.record import is_worked_at, journal_file, operations
from kitestring.render.words import when
from kitestring.spec.loaded import LoadedSpec

_LAGGING = (COPYING, READY)


def status(loaded: LoadedSpec, name: str | None = None) -> tuple[ReembedStatus, ...]:
    """Every re-embedding of the cluster, or those of one collection, the newest first. The server
    is not asked.

    Raises:
        ReembedError: what is kept of one is damaged.
    """
    found = operations(loaded)
    if name is not None:
        collection = loaded.spec.collection(name)
        names = {name, collection.name} if collection else {name}
        found = tuple(o for o in found if names & {o.source, o.shadow, *o.aliases})
    return tuple(_status(loaded, operation) for operation in found)


def next_step(loaded: LoadedSpec, operation: Operation) -> str:
    """What to do next, in words."""
    verb, source, shadow = "kitestring reembed", operation.source, operation.shadow
    on = f"--collection {operation.aliases[0] if operation.aliases else source}"
    begins = finish_from(loaded, operation)
    edits = loaded.edits()
    return {
        CREATING: f"`{verb} run {on}` goes on; `{verb} rollback {on}` gives up",
        COPYING: f"`{verb} run {on}` goes on; `{verb} rollback {on}` gives up",
        READY: _missed(operation)
        + f"`{verb} cutover {on}` asks the gates and switches; `{verb} rollback {on}` gives up",
        SWITCHING: f"a cutover was interrupted: `{verb} cutover {on}` ends it, `{verb} rollback "
        f"{on}` goes back; ingestion waits for one of them",
        CUT_OVER: (f"edit the spec: {'; '.join(edits)}. Then " if edits else "")
        + f"`{verb} finish {on}` drops `{source}`"
        + (f" from {when(begins)} on" if begins else "")
        + f"; `{verb} rollback {on}` goes back to it",
        RETURNING: f"a rollback was interrupted: `{verb} rollback {on}` ends it",
        ROLLED_BACK: f"clients are on `{source}`. `{verb} cutover {on}` switches again; "
        f"`{verb} rollback {on} --discard` drops `{shadow}`",
        DISCARDING: f"`{verb} rollback {on}` ends the dropping of `{shadow}`",
        FINISHING: f"`{verb} finish {on}` ends the dropping of `{source}`",
        FINISHED: "nothing: it is done",
        DISCARDED: "nothing: it was given up, `" + source + "` is as it was",
    }.get(operation.state, "this state is not known to this kitestring")


def _missed(operation: Operation) -> str:
    """What to do about gates that the last cutover did not pass."""
    names = [g.name for g in operation.gates if g.verdict is not Verdict.PASS]
    if not names:
        return ""
    return (
        f"not met: {', '.join(names)}. Take another model, or hold it to less (`reembed` of the "
        "collection in the spec). "
    )


def finish_from(loaded: LoadedSpec, operation: Operation) -> int | None:
    """When the old collection may be dropped, ms since the epoch; None before a cutover."""
    if operation.cut_over_at is None:
        return None
    names = (operation.shadow, operation.source)
    wanted = next((c for c in loaded.spec.collections if c.name in names), None)
    if wanted is None:
        return None
    return operation.cut_over_at + round(wanted.reembed.retention * 1000)


def _status(loaded: LoadedSpec, operation: Operation) -> ReembedStatus:
    copied, behind = _progress(loaded, operation)
    return ReembedStatus(
        replace(operation, copied=operation.copied if copied is None else copied),
        lag=behind,
        working=not operation.ended and is_worked_at(loaded, operation.source),
        next=next_step(loaded, operation),
        finish_from=finish_from(loaded, operation) if operation.state == CUT_OVER else None,
        edits=() if operation.ended else loaded.edits(),
    )


def _progress(loaded: LoadedSpec, operation: Operation) -> tuple[int | None, int | None]:
    """Rows copied so far, and rows that ingestion wrote and the copy has not; None where that is
    not the question."""
    if operation.state not in _LAGGING or operation.shadow_id is None:
        return None, None
    if not journal_file(loaded, operation).exists():
        return None, None
    with (
        open_ledger(loaded, create=False) as ledger,
        Journal(journal_file(loaded, operation), operation.shadow_id) as journal,
    ):
        if journal.fresh:
            return None, None
        behind = lag(ledger, journal, operation.source) if ledger.has(operation.source) else None
        return len(journal), None if behind is None else sum(1 for _ in behind)
