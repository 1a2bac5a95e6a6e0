"""What a restore would do, and what it did, as text and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

from kitestring.model.codec import to_plain
from kitestring.model.restore import (
    PlannedCollection,
    RestorePlan,
    RestoreResult,
    RtoEstimate,
    Span,
)
from kitestring.model.words import plural
from kitestring.render.words import data_size, duration, when


def plan_json(plan: RestorePlan) -> str:
    return json.dumps(to_plain(plan), indent=2, ensure_ascii=False) + "\n"


def plan_text(plan: RestorePlan) -> str:
    return "\n".join(_plan(plan)) + "\n"


def _plan(plan: RestorePlan) -> Iterator[str]:
    yield f"restore of {plan.backup} ({plan.method}) of {plan.cluster}; nothing was changed"
    yield f"  boundary  {when(plan.boundary)}"
    new = "  (is created)" if plan.creates_database else ""
    yield f"  database  {plan.database}{new}"
    for one in plan.collections:
        yield ""
        yield from _collection(one)
    if plan.roles or plan.users:
        yield ""
        yield from (f"  role      {name}" for name in plan.roles)
        yield from (f"  user      {name}  (is created)" for name in plan.users)
    yield ""
    free = "" if plan.free_bytes is None else f"; {data_size(plan.free_bytes)} are free"
    yield (
        f"  space     about {data_size(plan.needed_bytes)} in the target's store, "
        f"{data_size(plan.staged_bytes)} of it until the rows are in{free}"
    )
    yield from _estimate(plan.estimate)
    yield from (f"  NOT       {text}" for text in plan.not_restorable)
    yield from (f"note: {text}" for text in plan.notes)


def _collection(one: PlannedCollection) -> Iterator[str]:
    what = "REPLACED" if one.replaces else "created"
    as_name = f"{one.target} (from {one.name})" if one.target != one.name else one.target
    yield f"{as_name}: {what}"
    yield f"  rows      {one.rows:,}, {data_size(one.bytes)}"
    if one.partitions and one.partitions != ("_default",):
        yield f"  parts     {', '.join(one.partitions)}"
    yield from (f"  index     {text}" for text in one.indexes)
    yield from (f"  alias     {name}" for name in one.aliases)
    if one.loaded:
        memory = "" if one.memory is None else f", about {data_size(one.memory)} of memory each"
        yield f"  load      {plural(max(1, one.replicas), 'replica')}{memory}"
    else:
        yield "  load      no: it was not loaded"


def _estimate(estimate: RtoEstimate) -> Iterator[str]:
    if not estimate.drills or estimate.answer is None or estimate.full is None:
        yield "  RTO       not known: no drill has restored this cluster yet"
        return
    yield f"  RTO       first right answer after {_span(estimate.answer)}"
    yield f"            indexes ready after {_span(estimate.full)}"
    yield f"            from the rates of {plural(estimate.drills, 'drill')}"


def _span(span: Span) -> str:
    if span.low == span.high:
        return duration(span.median)
    return f"{duration(span.median)} ({duration(span.low)} to {duration(span.high)})"


def result_json(backup: str, result: RestoreResult) -> str:
    return json.dumps({"backup": backup, **to_plain(result)}, indent=2, ensure_ascii=False) + "\n"


def result_text(backup: str, result: RestoreResult) -> str:
    return "\n".join(_result(backup, result)) + "\n"


def _result(backup: str, result: RestoreResult) -> Iterator[str]:
    names = ", ".join(
        new if old == new else f"{old} as {new}" for old, new in result.collections.items()
    )
    yield f"restored {names} from {backup}: {plural(result.rows, 'row')}"
    if result.answer_seconds is not None:
        yield (
            f"  first right answer after {duration(result.answer_seconds)}, "
            f"indexes ready after {duration(result.full_seconds)}"
        )
    yield from (f"  NOT restored: {text}" for text in result.not_restored)
    yield from (f"  note: {text}" for text in result.notes)
