"""The cutover: nothing may be behind, every gate is met, then aliases and registry move.

Ingestion is kept off meanwhile by the ledger's lease. The order of the switch: the registry knows
both collections since the copy began; it is marked as switching (ingestion refuses); the ledger
gets the new collection's rows; the aliases move; the registry says what is live. A client that
resolves asks the server who owns the alias, and gets the model of that collection, at every point.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.registry import change_registry
from kitestring.errors import ReembedError, ReembedRefused
from kitestring.model.finding import Verdict
from kitestring.model.reembed import (
    CUT_OVER,
    READY,
    ROLLED_BACK,
    SWITCHING,
    Gate,
    OnEvent,
    OnProgress,
    Operation,
)
from kitestring.model.registry import Registry
from kitestring.reembed.digests import renewed_digests
from kitestring.reembed.gates import ROW_GATES, measure
from kitestring.reembed.record import held, now_ms, save
from kitestring.reembed.refuse import Change, change_for
from kitestring.reembed.run import copy
from kitestring.reembed.status import next_step
from kitestring.reembed.work import Work, at_work, under_way
from kitestring.spec.loaded import LoadedSpec

_WAIT = 10.0  # seconds for a server to answer with an alias's new owner


@dataclass(frozen=True, slots=True)
class CutoverReport:
    """What a cutover came to. `lag`: rows that were behind and could not be caught up."""

    operation: Operation
    lag: int
    schema_version: int = 1

    @property
    def done(self) -> bool:
        return self.operation.state == CUT_OVER

    @property
    def exit_code(self) -> int:
        """0 done, 2 a gate was missed, 3 a gate could not be measured, or rows are behind."""
        if self.done:
            return 0
        verdicts = {gate.verdict for gate in self.operation.gates}
        return 2 if Verdict.FAIL in verdicts else 3


def cutover(
    loaded: LoadedSpec,
    milvus: Milvus,
    name: str,
    *,
    on: str | None = None,
    progress: OnProgress | None = None,
    on_event: OnEvent | None = None,
) -> CutoverReport:
    """Puts clients on the new collection, if every gate is met; else nothing changes for them.

    Raises:
        ReembedRefused: the copy is not complete, or clients are on the new collection already.
        ReembedBusy: another process is at it. LedgerBusy: an ingestion runs.
        MilvusError, EmbedderFailed: run it again.
    """
    tell = on_event or (lambda _line: None)
    with held(loaded, under_way(loaded, name).source):
        operation = under_way(loaded, name)
        if operation.state not in (READY, SWITCHING, ROLLED_BACK):
            raise ReembedRefused(
                f"the re-embedding of `{operation.source}` is {operation.state}",
                hint=next_step(loaded, operation),
                subject=operation.source,
            )
        change = change_for(loaded, operation)
        with (
            at_work(loaded, milvus, operation, change, progress, on=on) as work,
            ExitStack() as leases,
        ):
            leases.enter_context(work.ledger.run(operation.source))
            operation = save(loaded, operation, shadow_id=work.copier.shadow.id)
            if operation.state == SWITCHING and not _any_moved(milvus, operation):
                # as long as clients are on the old one, it can still become another
                point_at(loaded, operation, operation.source)
                operation = save(loaded, operation, state=READY)
            if operation.state == ROLLED_BACK or work.journal.fresh:
                operation = copy(loaded, milvus, operation, work, tell)
            lag = work.catch_up()
            operation = save(loaded, operation, copied=len(work.journal))
            if lag:
                return CutoverReport(operation, lag)
            if operation.state != SWITCHING:
                gates = _gates(loaded, milvus, change, operation, work, tell)
                met = all(gate.verdict is Verdict.PASS for gate in gates)
                operation = save(loaded, operation, gates=gates)
                if not met:
                    return CutoverReport(operation, 0)
                operation = save(loaded, operation, state=SWITCHING)
            digests = renewed_digests(loaded, work.ledger, change, work.copier.source.schema)
            return CutoverReport(_switch(loaded, milvus, operation, work, digests), 0)


def _any_moved(milvus: Milvus, operation: Operation) -> bool:
    return any(milvus.alias_owner(a) == operation.shadow for a in operation.aliases)


def _gates(
    loaded: LoadedSpec,
    milvus: Milvus,
    change: Change,
    operation: Operation,
    work: Work,
    tell: OnEvent,
) -> tuple[Gate, ...]:
    def asked() -> tuple[Gate, ...]:
        return measure(loaded, milvus, change, work.embedder, work.copier, work.journal)

    gates = asked()
    if any(g.name in ROW_GATES and g.verdict is Verdict.FAIL for g in gates):
        tell("rows differ that the ledger does not know of: all are compared again")
        work.journal.doubt()
        copy(loaded, milvus, operation, work, tell)
        gates = asked()
    return gates


def _switch(
    loaded: LoadedSpec,
    milvus: Milvus,
    operation: Operation,
    work: Work,
    digests: Mapping[tuple[str, str], str],
) -> Operation:
    start = time.perf_counter()
    point_at(loaded, operation, operation.source, switching=True)
    ledger = work.ledger
    if ledger.has(operation.source):
        with ledger.run(operation.shadow) as run:
            ledger.hand_over(run, operation.source, operation.model_to, now_ms(), digests)
            ledger.bind(run, work.copier.shadow.id)
    move_aliases(milvus, operation, operation.shadow)
    point_at(loaded, operation, operation.shadow)
    return save(
        loaded,
        operation,
        state=CUT_OVER,
        cut_over_at=now_ms(),
        cutover_seconds=time.perf_counter() - start,
    )


def point_at(
    loaded: LoadedSpec, operation: Operation, live: str, *, switching: bool = False
) -> None:
    """Says in the registry which of the two is live.

    Raises:
        ReembedError: the registry has lost the operation.
    """

    def pointed(registry: Registry) -> Registry:
        family = registry.family_of(operation.source)
        if family is None or operation.shadow not in family.members:
            raise ReembedError(
                f"the registry does not know `{operation.source}` and `{operation.shadow}`",
                hint="bring `registry.json` back from a copy of the state directory",
                subject=operation.source,
            )
        return registry.with_family(replace(family, live=live, switching=switching))

    change_registry(loaded, pointed)


def move_aliases(milvus: Milvus, operation: Operation, owner: str) -> None:
    """Points the operation's aliases at one of the two, and waits until the server says so.

    Raises:
        ReembedError: an alias is not there, or points elsewhere by now.
    """
    pair = (operation.source, operation.shadow)
    owners = {alias: milvus.alias_owner(alias) for alias in operation.aliases}
    for alias, at in owners.items():
        if at not in pair:
            raise ReembedError(
                f"the alias `{alias}` points to `{at or 'nothing'}`, not to one of "
                f"`{pair[0]}` and `{pair[1]}`",
                hint="somebody moved it: point it back, then run this again",
                subject=alias,
            )
    for alias, at in owners.items():
        if at != owner:
            milvus.move_alias(owner, alias)
    deadline = time.monotonic() + _WAIT
    for alias in operation.aliases:
        while milvus.alias_owner(alias) != owner:
            if time.monotonic() > deadline:
                raise ReembedError(
                    f"the server does not say that `{alias}` points to `{owner}`",
                    hint="run it again",
                    subject=alias,
                )
            time.sleep(0.02)
