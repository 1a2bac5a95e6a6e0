"""A re-embedding in text and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kitestring.model.codec import to_plain
from kitestring.model.finding import Verdict
from kitestring.model.reembed import Estimate, Gate, Operation, ReembedPlan, ReembedStatus
from kitestring.model.words import plural
from kitestring.render.words import data_size, duration, when

_MARK = {Verdict.PASS: "met", Verdict.FAIL: "MISSED", Verdict.INCONCLUSIVE: "inconclusive"}


def plan_text(plan: ReembedPlan) -> str:
    """What a re-embedding would take and do, and what stands against it."""
    lines = [
        f"{plan.collection} -> {plan.shadow}: {plan.model_from} ({plan.dimension_from} dimensions)"
        f" -> {plan.model_to} ({plan.dimension_to})"
    ]
    if plan.estimate is not None:
        lines += [f"  {line}" for line in _estimate(plan.estimate)]
    lines += [f"  {n}. {step}" for n, step in enumerate(plan.steps, 1)]
    lines += [f"note: {text}" for text in plan.notes]
    for what, todo in plan.refused:
        lines += [f"refused: {what}", f"  hint: {todo}"]
    return "\n".join(lines) + "\n"


def _estimate(found: Estimate) -> list[str]:
    asked = "" if found.requests is None else f", {found.requests:,} requests"
    memory = "unknown" if found.memory is None else data_size(found.memory)
    stored = "unknown" if found.stored is None else data_size(found.stored)
    return [
        f"rows: {found.rows:,}, read by {found.read_by}",
        f"texts: {found.characters:,} characters, about {found.tokens:,} tokens{asked}",
        f"embedding: about {duration(found.seconds)} ({found.embed_rate:,.0f} texts/s on "
        f"{plural(found.sampled, 'row')})",
        f"shadow collection: {memory} of memory, {stored} stored; {found.room}",
    ]


def cutover_text(operation: Operation, *, lag: int, done: bool, todo: str) -> str:
    """Gates, and whether clients are on the new collection."""
    lines = gates_text(operation.gates)
    if done:
        names = ", ".join(operation.aliases)
        lines.append(
            f"{names}: {operation.source} -> {operation.shadow} ({operation.model_to}) in "
            f"{duration(operation.cutover_seconds or 0.0)}"
        )
    elif lag:
        lines.append(f"no cutover: {plural(lag, 'row')} behind the ledger")
    else:
        lines.append("no cutover: a gate was not met; clients stay on " + operation.source)
    return "\n".join([*lines, f"next: {todo}"]) + "\n"


def gates_text(gates: Sequence[Gate]) -> list[str]:
    lines = []
    for gate in gates:
        wanted = f" (wanted: {gate.wanted})" if gate.wanted else ""
        reason = f"; {gate.reason}" if gate.reason else ""
        lines.append(f"{gate.name:<8} {_MARK[gate.verdict]:<7} {gate.measured}{wanted}{reason}")
    return lines


def rollback_text(
    operation: Operation, seconds: float | None, ingested: int, edits: Sequence[str], *, todo: str
) -> str:
    """What a way back came to."""
    lines = []
    if seconds is not None:
        names = ", ".join(operation.aliases)
        lines.append(
            f"{names}: {operation.shadow} -> {operation.source} ({operation.model_from}) in "
            f"{duration(seconds)}"
        )
    if ingested:
        lines.append(
            f"{plural(ingested, 'row')} that ingestion changed since the cutover are not in "
            f"{operation.source} as they were: ingest their documents again"
        )
    if operation.ended:
        lines.append(f"{operation.shadow} is dropped; {operation.source} is as it was")
    lines += [f"edit the spec: {edit}" for edit in edits]
    return "\n".join([*lines, f"next: {todo}"]) + "\n"


def finish_text(operation: Operation, rows: int, gone: int, accepted: int) -> str:
    """What a finish came to."""
    proof = f"{rows:,} rows proven to be in {operation.shadow}" if rows else "its rows were proven"
    if gone:
        proof += f", but for {gone:,} that ingestion deleted since the cutover"
    if accepted:
        proof += f"; {accepted:,} missing ones were accepted"
    return f"{operation.source} is dropped: {proof}\n"


def status_text(states: Sequence[ReembedStatus]) -> str:
    """Each re-embedding in a few lines."""
    if not states:
        return "no re-embedding\n"
    return "\n".join("\n".join(_state(state)) + "\n" for state in states)


def _state(state: ReembedStatus) -> list[str]:
    operation = state.operation
    at_it = ", a process is at it" if state.working else ""
    lines = [
        f"{operation.source} -> {operation.shadow}: {operation.model_from} -> "
        f"{operation.model_to}: {operation.state}{at_it}",
        f"  started {when(operation.started_at)}, last step {when(operation.updated_at)}",
    ]
    if operation.rows or operation.copied:
        lag = "" if state.lag is None else f", {state.lag:,} behind the ledger"
        by = f", read by {operation.read_by}" if operation.read_by else ""
        lines.append(f"  {operation.copied:,} of {operation.rows:,} rows copied{by}{lag}")
    if operation.cut_over_at:
        lines.append(f"  cut over {when(operation.cut_over_at)}")
    lines += [f"  {line}" for line in gates_text(operation.gates)]
    return [*lines, f"  next: {state.next}"]


def status_json(states: Sequence[ReembedStatus]) -> str:
    """All of them as JSON text."""
    return _json({"schema_version": 1, "reembeddings": to_plain(tuple(states))})


def reembed_json(report: Any, *, exit_code: int | None = None) -> str:
    """A plan or report as JSON text."""
    code = report.exit_code if isinstance(report, ReembedPlan) else exit_code
    return _json({**to_plain(report), "exit_code": code or 0})


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
