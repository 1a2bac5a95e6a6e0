"""The backups of a catalog as a table, and what a prune did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kitestring.model.backup import BackupSummary
from kitestring.model.drill import DrillSummary
from kitestring.render.backup import bytes_as_text, table_as_text
from kitestring.render.words import age

_NAMES = 24  # columns for the names of collections, before they are counted instead


def backups_as_text(
    summaries: Sequence[BackupSummary], drills: Sequence[DrillSummary], now: int
) -> str:
    """The table of `kitestring backup list`; what can't be read is below it.

    Args:
        now: ms since the epoch; ages are those of the data, from the boundary on.
    """
    if not summaries:
        return "no backups"
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("backup", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    table.add_column("method", no_wrap=True)
    table.add_column("collections", overflow="fold")
    for column in ("rows", "size", "new", "reuse"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("verified", "drilled", "marked"):
        table.add_column(column, no_wrap=True)
    newest: dict[str, DrillSummary] = {}
    for drill in sorted(drills, key=lambda d: d.started_at):
        newest[drill.backup] = drill
    for summary in summaries:
        table.add_row(*_row(summary, newest, now))
    problems = [f"{s.id}: {s.problem}" for s in summaries if not s.readable]
    return "\n".join([table_as_text(table), *problems])


def _row(summary: BackupSummary, drills: Mapping[str, DrillSummary], now: int) -> list[str]:
    def ago(ms: int | None) -> str:
        return "-" if ms is None else age((now - ms) / 1000)

    if not summary.readable:
        return [summary.id, ago(summary.created_at), "-", "can't be read", *["-"] * 7]
    drill = drills.get(summary.id)
    verdict = "-" if drill is None else "passed" if drill.passed else "failed"
    return [
        summary.id,
        ago(summary.boundary),
        summary.method,
        _collections(summary),
        f"{summary.rows:,}",
        bytes_as_text(summary.bytes),
        bytes_as_text(summary.copied_bytes),
        "-" if summary.reuse is None else f"{summary.reuse:.0%}",
        _verified(summary, ago),
        verdict if drill is None else f"{verdict} {ago(drill.started_at)}",
        ago(summary.marked_at),
    ]


def _verified(summary: BackupSummary, ago: Callable[[int | None], str]) -> str:
    text = f"{summary.verified_tier} {ago(summary.verified_at)}".strip()
    best = f" ({summary.best_tier} {ago(summary.best_at)})" if summary.best_tier else ""
    return text + best


def _collections(summary: BackupSummary) -> str:
    names = [f"{c} (part)" if c in summary.partial else c for c in summary.collections]
    text = ", ".join(names)
    return text if len(text) <= _NAMES or len(names) == 1 else f"{len(names)} collections"
