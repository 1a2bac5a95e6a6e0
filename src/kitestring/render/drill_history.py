"""The history of drills: trends in words, and one page with its charts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from kitestring.model.backup import BackupSummary
from kitestring.model.codec import to_plain
from kitestring.model.drill import OLDER_PHASES, PHASES, DrillRecord, DrillSummary
from kitestring.model.words import plural
from kitestring.render.charts import BYTES, SECONDS, Scale, colour, scale
from kitestring.render.drill import PHASE_LABELS, drills_text, in_rto, page_values
from kitestring.render.html import render_page
from kitestring.render.words import data_size, duration, rto_words, when
from kitestring.spec.models import Objectives

HISTORY_VERSION = 1
SHOWN = 20  # drills and backups in a chart
ORDER = tuple(dict.fromkeys((*PHASES[1:], *OLDER_PHASES[1:])))


@dataclass(frozen=True, slots=True)
class History:
    """What a history is told from. Drills and backups are newest first."""

    cluster: str
    drills: Sequence[DrillSummary]  # those that can't be read too
    records: Sequence[DrillRecord]  # those that can be
    backups: Sequence[BackupSummary] = ()
    backups_problem: str = ""
    objectives: Objectives | None = None

    @property
    def whole(self) -> list[DrillRecord]:
        """Drills of whole backups that passed."""
        return [r for r in self.records if r.passed and r.sampled is None]


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure over the drills that passed: the newest, and the median of those before."""

    name: str
    newest: float
    before: float | None
    unit: str  # seconds or part

    @property
    def words(self) -> str:
        shown = duration if self.unit == "seconds" else "{:.4f}".format
        if self.before is None:
            return f"{shown(self.newest)} (nothing to compare with)"
        change = "as before" if self.before == self.newest else f"{shown(self.before)} before"
        return f"{shown(self.newest)} (median of the others: {change})"


def trends(history: History) -> list[Trend]:
    """RPO, RTO, full time and recall of the newest drill that passed, beside the others."""
    figures = (
        ("RPO", "seconds", [r.rpo_seconds for r in history.whole]),
        ("RTO", "seconds", [r.rto_seconds for r in history.whole]),
        ("indexes", "seconds", [s for r in history.whole if (s := r.full_seconds) is not None]),
        ("recall", "part", [lowest for r in history.whole if (lowest := _recall(r)) is not None]),
    )
    return [
        Trend(name, values[0], median(values[1:]) if values[1:] else None, unit)
        for name, unit, values in figures
        if values
    ]


def _recall(record: DrillRecord) -> float | None:
    means = [score.recall.mean for score in record.collections if score.recall is not None]
    return min(means) if means else None


def history_json(history: History) -> str:
    data = {
        "schema_version": HISTORY_VERSION,
        "cluster": history.cluster,
        "drills": to_plain(list(history.drills)),
        "trends": [to_plain(trend) for trend in trends(history)],
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def history_text(history: History) -> str:
    lines = [drills_text(history.drills).rstrip("\n")]
    if history.drills:
        passed = sum(d.passed for d in history.drills)
        lines += ["", f"{passed} of {plural(len(history.drills), 'drill')} passed"]
    lines += [f"{trend.name:8} {trend.words}" for trend in trends(history)]
    return "\n".join(lines) + "\n"


def history_html(history: History, drill: DrillRecord | None = None) -> str:
    """The page: `drill` in full where one is given, and the history's charts."""
    return render_page(
        "drill_history.html.j2",
        history=history,
        record=drill,
        trends=trends(history),
        rto=rto_chart(history.records),
        rpo=rpo_chart(history),
        sizes=size_chart(history.backups),
        recall=recall_chart(history.records),
        **page_values(),
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar: place and width in percent of the chart, its colour and words."""

    x: float
    width: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a chart: what it is of, its pieces, and what is read."""

    label: str
    pieces: tuple[Piece, ...]
    text: str
    mark: float | None = None  # percent
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    rows: tuple[Row, ...]
    legend: tuple[tuple[str, str], ...]  # colour, label
    scale: Scale
    limit: float | None = None  # percent: the objective
    limit_text: str = ""


def rto_chart(records: Sequence[DrillRecord]) -> Chart | None:
    """Phases of each drill, one after the other; the mark is the first right answer."""
    shown = [r for r in records[:SHOWN] if any(p.name != "target" for p in r.phases)]
    if not shown:
        return None
    axis = scale(max(_all(r) for r in shown), duration, units=SECONDS)
    names = [n for n in ORDER if any(p.name == n for r in shown for p in r.phases)]
    kinds = {name: colour(ORDER.index(name)) for name in names}
    rows = []
    for record in shown:
        at, pieces = 0.0, []
        for phase in record.phases:
            if phase.name == "target":
                continue
            width = axis.percent(phase.seconds)
            label = f"{PHASE_LABELS.get(phase.name, phase.name)} {duration(phase.seconds)}"
            pieces.append(Piece(at, width, kinds[phase.name], label))
            at += width
        text, mark = rto_words(record.rto), None
        if record.rto is not None:
            mark = axis.percent(record.rto)
            if not all(in_rto(record, p.name) for p in record.phases if p.name != "target"):
                text += f" / {duration(_all(record))}"
        rows.append(Row(_named(record), tuple(pieces), text, mark, not record.passed))
    legend = tuple((kinds[name], PHASE_LABELS[name]) for name in names)
    return Chart(tuple(rows), legend, axis)


def _all(record: DrillRecord) -> float:
    return sum(p.seconds for p in record.phases if p.name != "target")


def _named(record: DrillRecord) -> str:
    part = "" if record.sampled is None else f", {record.sampled:.0%} of the rows"
    return f"{when(record.started_at)[:16]}{part}"


def rpo_chart(history: History) -> Chart | None:
    """RPO of each drill over time."""
    shown = history.records[:SHOWN]
    if not shown:
        return None
    limit = history.objectives.rpo if history.objectives else None
    highest = max(max(0.0, r.rpo_seconds) for r in shown)
    # an objective far above every bar would make them invisible
    drawn = limit if limit is not None and limit <= 4 * highest else None
    axis = scale(max(highest, drawn or 0.0), duration, units=SECONDS)
    rows = tuple(
        Row(
            _named(r),
            (Piece(0.0, axis.percent(max(0.0, r.rpo_seconds)), "s1", duration(r.rpo_seconds)),),
            duration(r.rpo_seconds),
            bad=limit is not None and r.rpo_seconds > limit,
        )
        for r in shown
    )
    text = "" if limit is None else f"objective: at most {duration(limit)}"
    return Chart(rows, (), axis, None if drawn is None else axis.percent(drawn), text)


def size_chart(backups: Sequence[BackupSummary]) -> Chart | None:
    """Bytes of each backup: those that were new to the store, and those that it had."""
    shown = [b for b in backups if b.readable][:SHOWN]
    if not shown:
        return None
    axis = scale(max(float(max(b.bytes, b.copied_bytes)) for b in shown), data_size, units=BYTES)
    rows = []
    for backup in shown:
        reused = max(0, backup.bytes - backup.copied_bytes)
        new, old = axis.percent(backup.copied_bytes), axis.percent(reused)
        part = reused / backup.bytes if backup.bytes else 0.0
        rows.append(
            Row(
                when(backup.created_at)[:16],
                (
                    Piece(0.0, new, "s2", f"new {data_size(backup.copied_bytes)}"),
                    Piece(new, old, "s1", f"reused {data_size(reused)}"),
                ),
                f"{data_size(backup.bytes)}, {part:.0%} reused",
            )
        )
    return Chart(tuple(rows), (("s2", "new"), ("s1", "reused")), axis)


def recall_chart(records: Sequence[DrillRecord]) -> Chart | None:
    """Recall of each collection in each drill: interval and mean."""
    found = [
        (record, score.name, score.recall)
        for record in records[:SHOWN]
        for score in record.collections
        if score.recall is not None
    ]
    if not found:
        return None
    low = min(recall.low for _, _, recall in found)
    start = 0.0 if low < 0.5 else 0.5 if low < 0.9 else 0.9
    axis = scale(1.0, "{:g}".format, start=start)
    rows = [
        Row(
            f"{name}, {_named(record)}",
            (
                Piece(
                    axis.percent(recall.low),
                    max(0.4, axis.percent(recall.high) - axis.percent(recall.low)),
                    "s1",
                    f"95% interval {recall.low:.4f} to {recall.high:.4f}",
                ),
            ),
            f"{recall.mean:.4f} ({recall.low:.3f} to {recall.high:.3f})",
            axis.percent(recall.mean),
        )
        for record, name, recall in found
    ]
    return Chart(tuple(rows[: 2 * SHOWN]), (), axis)
