"""A drift report as text: on a terminal in colour, elsewhere plain, and the same words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from kitestring.model.finding import Finding
from kitestring.model.report import CheckInfo, DriftReport, group_of
from kitestring.render.words import duration, plural, when

_STYLES = {
    "fail": "bold red",
    "inconclusive": "bold magenta",
    "warn": "bold yellow",
    "info": "cyan",
    "pass": "bold green",
}
_PLAIN_WIDTH = 110  # columns, where no terminal tells


def console_for(file: TextIO) -> Console:
    """A console that honours NO_COLOR, the width of a terminal, and the lack of one."""
    terminal = file.isatty()
    return Console(
        file=file,
        width=None if terminal else _PLAIN_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )


def write_drift(report: DriftReport, file: TextIO) -> None:
    """Writes the report to a stream."""
    console = console_for(file)
    head = Text.assemble(
        ("drift", "bold"),
        f" of {report.cluster}: ",
        (report.verdict.value, _STYLES[report.verdict.value]),
        f" · Milvus {report.server_version} · {when(report.taken_at)}"
        f" · observed in {duration(report.snapshot.seconds)}",
    )
    console.print(head)
    for finding in report.findings:
        console.print()
        _write_finding(console, finding)
    _write_silent(console, report)
    console.print()
    console.print(_summary(report))


def _write_finding(console: Console, finding: Finding) -> None:
    group = group_of(finding)
    console.print(
        Text.assemble(
            (f"{group}", _STYLES[group]), "  ", (finding.check, "bold"), f"  {finding.subject}"
        )
    )
    rows = [finding.message]
    if finding.expected or finding.observed:
        rows += [f"expected: {finding.expected}", f"observed: {finding.observed}"]
    if finding.hint:
        rows.append(f"hint: {finding.hint}")
    if finding.location is not None:
        rows.append(f"spec: {finding.location}")
    for row in rows:
        console.print(Padding(Text(row), (0, 0, 0, 2)))


def _write_silent(console: Console, report: DriftReport) -> None:
    """Checks that neither passed nor have a finding of their own."""
    blind = [r for r in report.runs if r.verdict.value == "inconclusive" and not r.findings]
    if blind:
        console.print()
        for run in blind:
            console.print(
                Text.assemble(
                    ("inconclusive", _STYLES["inconclusive"]),
                    "  ",
                    (run.check, "bold"),
                    f"  {run.reason}",
                )
            )
    if report.not_run:
        console.print()
        by_reason: dict[str, list[str]] = {}
        for left in report.not_run:
            by_reason.setdefault(left.reason, []).append(left.check)
        for reason, checks in by_reason.items():
            console.print(Text(f"not run, since {reason}: {', '.join(checks)}"))


def _summary(report: DriftReport) -> Text:
    counts = report.check_counts
    rows = [c for seen in report.snapshot.collections.values() if (c := seen.census) is not None]
    text = (
        f"{plural(len(report.runs), 'check')}: {counts['pass']} passed, {counts['fail']} failed, "
        f"{counts['inconclusive']} inconclusive, {counts['not_run']} not run"
    )
    if rows:
        paths = " and ".join(sorted({c.path for c in rows}))
        text += f" · {plural(sum(c.rows_read for c in rows), 'row')} read by {paths}"
    return Text(f"{text} · exit code {report.exit_code}")


def write_checks(checks: Iterable[CheckInfo], file: TextIO) -> None:
    """Writes the list of checks to a stream."""
    console = console_for(file)
    listed = list(checks)
    width = max(len(c.id) for c in listed)
    for one in listed:
        console.print(
            Text.assemble(
                (f"{one.id:{width}}", "bold"),
                "  ",
                (f"{one.severity.value:4}", _STYLES[one.severity.value]),
                f"  {one.title}",
            )
        )
