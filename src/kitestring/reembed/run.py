"""Starts a re-embedding, or goes on with one: the shadow collection and the copy."""

from __future__ import annotations

from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.registry import change_registry
from kitestring.errors import ReembedRefused, UsageError
from kitestring.model.reembed import (
    BEFORE_CUTOVER,
    COPYING,
    CREATING,
    READY,
    ROLLED_BACK,
    OnEvent,
    OnProgress,
    Operation,
)
from kitestring.model.registry import Family
from kitestring.parallel import require_known
from kitestring.reembed.record import held, now_ms, operation_for, save
from kitestring.reembed.refuse import Change, change_for, change_of, next_name, reasons
from kitestring.reembed.rows import API
from kitestring.reembed.status import next_step
from kitestring.reembed.work import Work, at_work
from kitestring.spec.loaded import LoadedSpec


def run(
    loaded: LoadedSpec,
    milvus: Milvus,
    name: str,
    to: str | None = None,
    *,
    on: str | None = None,
    progress: OnProgress | None = None,
    on_event: OnEvent | None = None,
) -> Operation:
    """Copies a collection into a shadow with vectors of another model, and catches up.

    Killed at any point it is continued by the next call; what was copied is not embedded again.
    Clients and ingestion go on with the live collection.

    Args:
        name: a collection of the spec, or an alias of one.
        to: `name@version` of the new model; may be left out where one is under way.
        on: what texts are embedded on; see `kitestring.parallel.open_executor`. Rows are read,
            written and noted by this process.

    Raises:
        ReembedRefused: it can't work; the message says all that stands against it.
        ReembedBusy: another process is at it.
        UsageError, MilvusError, EmbedderFailed, DimensionMismatch, WorkerLost,
        WorkersUnreachable.
    """
    tell = on_event or (lambda _line: None)
    require_known(on)
    before = operation_for(loaded, name)
    source = before.source if before and not before.ended else None
    if source is None:
        if to is None:
            raise UsageError(
                f"no re-embedding of `{name}` is under way to go on with",
                hint="say the new model: --to MODEL@VERSION",
            )
        source = change_of(loaded, name, to).wanted.name
    with held(loaded, source):
        operation, change = _begun(loaded, milvus, name, to)
        if operation.state not in (*BEFORE_CUTOVER, ROLLED_BACK):
            raise ReembedRefused(
                f"`{operation.shadow}` is copied and {operation.state}",
                hint=next_step(loaded, operation),
                subject=operation.source,
            )
        register(loaded, operation, change)
        with at_work(loaded, milvus, operation, change, progress, on=on) as work:
            operation = save(
                loaded,
                operation,
                state=COPYING,
                shadow_id=work.copier.shadow.id,
                rows=milvus.count(operation.source),
            )
            operation = copy(loaded, milvus, operation, work, tell)
        return save(loaded, operation, state=READY)


def copy(
    loaded: LoadedSpec, milvus: Milvus, operation: Operation, work: Work, tell: OnEvent
) -> Operation:
    """One pass over all rows, and what ingestion did meanwhile."""
    work.copier.rebuild()
    already = len(work.journal)
    if already:
        tell(f"{already:,} rows are copied already")
    read_by, why = work.copier.full_pass(operation.rows)
    if read_by == API:
        tell(f"rows were read over the API: {why}")
    left = work.catch_up()
    tell(
        f"{work.copier.embedded:,} rows embedded and written, {work.copier.removed:,} removed, "
        f"{len(work.journal):,} copied in all"
    )
    if left:
        tell(f"{left:,} rows that ingestion writes meanwhile are behind; the cutover takes them")
    return save(
        loaded,
        operation,
        read_by=read_by,
        rows=milvus.count(operation.source),
        copied=len(work.journal),
    )


def register(loaded: LoadedSpec, operation: Operation, change: Change) -> None:
    """Tells clients what both collections are embedded by, before an alias can move."""
    members = (operation.source, operation.shadow)
    family = Family(members, operation.aliases, operation.source)
    both = (change.before, change.after(operation.shadow))
    change_registry(loaded, lambda registry: registry.with_family(family, *both))


def _begun(
    loaded: LoadedSpec, milvus: Milvus, name: str, to: str | None
) -> tuple[Operation, Change]:
    """The operation that is under way, or a new one."""
    found = operation_for(loaded, name)
    if found is not None and not found.ended:
        if to not in (None, found.model_to):
            raise ReembedRefused(
                f"a re-embedding of `{found.source}` by `{found.model_to}` is under way",
                hint=f"go on with it (leave out `--to {to}`), or `kitestring reembed rollback` "
                "gives it up",
                subject=found.source,
            )
        return found, change_for(loaded, found)
    change = change_of(loaded, name, str(to))
    against = list(reasons(loaded, milvus, change))
    if against:
        raise ReembedRefused(
            f"`{change.wanted.name}` can't be re-embedded:\n"
            + "\n".join(f"  {what}" for what, _ in against),
            hint="; ".join(todo for _, todo in against),
            subject=change.wanted.name,
        )
    info, now = milvus.describe(change.wanted.name), now_ms()
    operation = Operation(
        source=info.name,
        source_id=info.id,
        shadow=next_name(milvus, info.name),
        aliases=tuple(change.wanted.aliases),
        model_from=change.model_from.label,
        model_to=change.model_to.label,
        state=CREATING,
        started_at=now,
        updated_at=now,
    )
    return save(loaded, operation), change
