"""A drill record, and the history of drills, as text, JSON, Markdown and HTML."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from kitestring.model.codec import to_plain
from kitestring.model.drill import CollectionScore, DrillRecord, DrillSummary, Recall
from kitestring.model.words import plural
from kitestring.render.html import render_page
from kitestring.render.markdown import plain
from kitestring.render.words import duration, rto_words, when

LIST_VERSION = 1
NO_ANSWER = "the restored copy gave no right answer"
PHASE_LABELS = {
    "target": "start of the target",
    "copy": "copy",
    "import": "import",
    "index": "index",
    "load": "load",
    "first_answer": "first answer",
    "first_query": "first query",  # of older records
}


def verdict(passed: bool) -> str:
    return "passed" if passed else "failed"


def outcome_of(drill: DrillRecord | DrillSummary) -> str:
    """The verdict, and what it is of: a sample proves less."""
    part = "" if drill.sampled is None else f" (sample of {drill.sampled:.0%})"
    return verdict(drill.passed) + part


def interval(recall: Recall) -> str:
    """`0.9912 (0.9850 to 0.9962 at 95%)`."""
    return f"{recall.mean:.4f} ({recall.low:.4f} to {recall.high:.4f} at 95%)"


def recall_words(score: CollectionScore) -> str:
    """What is known of a collection's recall, in one line."""
    recall = score.recall
    if recall is None:
        return f"not measured: {score.recall_reason or 'no reason given'}"
    text = f"recall@{recall.k} {interval(recall)}, 5th percentile {recall.p5:.2f}"
    if recall.against_source is not None:
        text += f", {recall.against_source:.4f} of the source's own answers"
    return f"{text}; {score.recall_reason or plural(recall.queries, 'query')}"


def phase_rows(record: DrillRecord) -> list[tuple[str, float, str]]:
    """The phases after the target stood: label, seconds, words."""
    return [
        (PHASE_LABELS.get(p.name, p.name), p.seconds, duration(p.seconds))
        for p in record.phases
        if p.name != "target"
    ]


def times_words(record: DrillRecord) -> str:
    """The two instants of a restore: its first right answer, and its indexes."""
    if record.rto is None:
        return NO_ANSWER
    text = f"first right answer after {duration(record.rto)}"
    if record.full_seconds is None:
        return f"{text}, with its indexes ready"
    return f"{text}, indexes ready after {duration(record.full_seconds)}"


def axis_start(recall: Recall) -> float:
    """Where the axis of a recall plot begins: the tenth below the interval, at most 0.9."""
    return min(0.9, max(0.0, math.floor(10 * recall.low - 0.01) / 10))


def in_rto(record: DrillRecord, phase: str) -> bool:
    """Whether a phase is part of the record's RTO: in older ones, the index was."""
    outside = ("target",) if record.full_seconds is None else ("target", "index")
    return phase not in outside


def target_seconds(record: DrillRecord) -> float | None:
    return next((p.seconds for p in record.phases if p.name == "target"), None)


def drill_json(record: DrillRecord) -> str:
    return json.dumps(to_plain(record), indent=2, ensure_ascii=False) + "\n"


def drill_html(record: DrillRecord) -> str:
    """The record as a page."""
    return render_page("drill.html.j2", record=record, **page_values())


def page_values() -> dict[str, Any]:
    """What `part_drill.html.j2` calls."""
    return {
        "axis_start": axis_start,
        "phase_rows": phase_rows,
        "target_seconds": target_seconds,
        "rto_words": rto_words,
        "times_words": times_words,
        "outcome_of": outcome_of,
        "recall_words": recall_words,
        "verdict": verdict,
    }


def drill_text(record: DrillRecord) -> str:
    return "\n".join(_text(record)) + "\n"


def _text(record: DrillRecord) -> Iterator[str]:
    yield f"drill {record.id}: {outcome_of(record)}"
    yield f"  backup   {record.backup} of {record.cluster}, Milvus {record.server_version}"
    yield f"  started  {when(record.started_at)}"
    yield f"  RPO      {duration(record.rpo_seconds)}  (the backup holds every write up to"
    yield f"           {when(record.boundary)})"
    yield f"  RTO      {rto_words(record.rto)}  ({times_words(record)})"
    parts = ", ".join(f"{label} {text}" for label, _, text in phase_rows(record))
    yield f"  phases   {parts or 'none was reached'}"
    standing = target_seconds(record)
    if standing is not None:
        yield f"  target   {record.target}, up in {duration(standing)}, not counted in the RTO"
    for score in record.collections:
        yield ""
        yield f"{score.name}"
        yield f"  rows     {score.rows_restored:,} of {score.rows_expected:,}"
        yield f"  keys     {_equal(score.keys_match)}"
        yield f"  content  {_equal(score.content_match)}"
        yield f"  deleted  {plural(score.deleted_present, 'key')} came back"
        yield f"  recall   {recall_words(score)}"
        for difference in score.differences:
            yield f"  differs  {difference}"
    if record.differences:
        yield ""
        yield "access"
        yield from (f"  differs  {text}" for text in record.differences)
    if record.objectives:
        yield ""
        yield "objectives"
        width = max(len(o.name) for o in record.objectives)
        for objective in record.objectives:
            word = "met   " if objective.met else "MISSED"
            yield (
                f"  {word}  {objective.name:{width}}  {objective.measured}  "
                f"(wanted: {objective.wanted})"
            )
    if record.notes:
        yield ""
        yield from (f"note: {text}" for text in record.notes)


def _equal(match: bool) -> str:
    return "as in the backup" if match else "NOT as in the backup"


def drill_markdown(record: DrillRecord) -> str:
    return "\n".join(_markdown(record)) + "\n"


def _markdown(record: DrillRecord) -> Iterator[str]:
    yield f"# Restore drill `{record.id}`: {outcome_of(record)}"
    yield ""
    yield (
        f"Backup `{record.backup}` of `{record.cluster}`, Milvus {plain(record.server_version)}, "
        f"{when(record.started_at)}. RPO {duration(record.rpo_seconds)}, "
        f"RTO {rto_words(record.rto)}: {times_words(record)}."
    )
    yield from ("", "| Objective | Wanted | Measured | |", "|---|---|---|---|")
    for o in record.objectives:
        yield f"| {plain(o.name)} | {plain(o.wanted)} | {plain(o.measured)} | {_met(o.met)} |"
    yield from ("", "| Phase | Seconds |", "|---|---:|")
    for phase in record.phases:
        outside = "" if in_rto(record, phase.name) else ", not in the RTO"
        yield f"| {PHASE_LABELS.get(phase.name, phase.name)}{outside} | {phase.seconds:.2f} |"
    for score in record.collections:
        yield from ("", f"## `{score.name}`", "")
        yield f"- rows: {score.rows_restored:,} of {score.rows_expected:,}"
        yield f"- keys: {_equal(score.keys_match)}; content: {_equal(score.content_match)}"
        yield f"- deleted keys that came back: {score.deleted_present}"
        yield f"- {plain(recall_words(score))}"
        yield from (f"- differs: {plain(text)}" for text in score.differences)
    if record.differences:
        yield from ("", "## Users, roles and grants", "")
        yield from (f"- differs: {plain(text)}" for text in record.differences)
    if record.notes:
        yield from ("", "## Notes", "")
        yield from (f"- {plain(text)}" for text in record.notes)


def _met(met: bool) -> str:
    return "met" if met else "**missed**"


def drills_text(drills: Sequence[DrillSummary]) -> str:
    """The history, newest first, one line each."""
    if not drills:
        return "no drill has been run yet\n"
    lines = [f"{'drill':24}  {'started':23}  {'verdict':10}  {'RPO':>12}  {'RTO':>12}  backup"]
    for drill in drills:
        if not drill.readable:
            lines.append(f"{drill.id:24}  {when(drill.started_at):23}  unreadable  {drill.problem}")
            continue
        lines.append(
            f"{drill.id:24}  {when(drill.started_at):23}  {outcome_of(drill):10}  "
            f"{duration(drill.rpo_seconds):>12}  {rto_words(drill.rto_seconds):>12}  {drill.backup}"
        )
    return "\n".join(lines) + "\n"


def drills_json(drills: Sequence[DrillSummary]) -> str:
    data = {"schema_version": LIST_VERSION, "drills": to_plain(list(drills))}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
