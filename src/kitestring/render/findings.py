"""A drift report as text: on a terminal in colour, elsewhere plain, and the same words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from rich.console import Console
from rich.text import Text

from kitestring.model.finding import Finding, Verdict
from kitestring.model.report import CheckInfo, DriftReport, group_of
from kitestring.model.snapshot import ObservedCollection
from kitestring.model.watermark import later_text
from kitestring.model.words import plural
from kitestring.render.words import duration, printable, when

_STYLES = {
    "fail": "bold red",
    "inconclusive": "bold magenta",
    "warn": "bold yellow",
    "info": "cyan",
    "suppressed": "dim",
    "baseline": "dim",
    "pass": "bold green",
}


def console_for(file: TextIO) -> Console:
    """A console that honours NO_COLOR and FORCE_COLOR, and knows whether it is a terminal."""
    return Console(file=file, highlight=False, markup=False, emoji=False)


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
    _line(console, head)
    for finding in report.findings:
        _line(console, Text())
        _write_finding(console, finding)
    _write_silent(console, report)
    for entry in report.gone:
        _line(console, Text())
        _line(console, Text(f"gone since the baseline  {entry.check}  {printable(entry.subject)}"))
    _line(console, Text())
    _line(console, Text(summary_text(report)))


def _write_finding(console: Console, finding: Finding) -> None:
    group = group_of(finding)
    _line(
        console,
        Text.assemble(
            (f"{group}", _STYLES[group]),
            "  ",
            (finding.check, "bold"),
            f"  {printable(finding.subject)}",
        ),
    )
    rows = [finding.message]
    if finding.expected or finding.observed:
        rows += [f"expected: {finding.expected}", f"observed: {finding.observed}"]
    if finding.hint:
        rows.append(f"hint: {finding.hint}")
    if finding.location is not None:
        rows.append(f"spec: {finding.location}")
    if finding.accepted is not None:
        where = finding.accepted.location
        rows.append(f"{finding.accepted}" + (f" ({where})" if where else ""))
    for row in rows:
        _line(console, Text(f"  {printable(row)}"))


def _line(console: Console, text: Text) -> None:
    """One line, however long: a terminal folds it, and what is copied out of it stays whole."""
    if console.is_terminal:
        console.print(text, soft_wrap=True)
    else:  # the same words, at a hundredth of the time
        console.file.write(f"{text.plain}\n")


def _write_silent(console: Console, report: DriftReport) -> None:
    """Checks that neither passed nor have a finding of their own, together by their reason."""
    blind: dict[str, list[str]] = {}
    for run in report.runs:
        if run.verdict is Verdict.INCONCLUSIVE and not run.findings:
            blind.setdefault(run.reason, []).append(run.check)
    left: dict[str, list[str]] = {}
    for one in report.not_run:
        left.setdefault(one.reason, []).append(one.check)
    for name, seen in sorted(report.snapshot.collections.items()):
        for note in notes_of(name, seen):
            _line(console, Text())
            _line(console, Text(note))
    for reasons, what in ((blind, "inconclusive as well"), (left, "not run")):
        for reason, checks in reasons.items():
            _line(console, Text())
            _line(console, Text(f"{what} ({reason}): {', '.join(checks)}"))


def notes_of(name: str, seen: ObservedCollection) -> Iterator[str]:
    """What was left out of evidence that counts as complete, or read in another way."""
    census, recall = seen.census, seen.recall
    if census is not None and census.complete and census.note:
        yield f"rows of {name} read by {census.path}: {census.note}"
    vectors = seen.canary.vectors if seen.canary else None
    if vectors is not None and vectors.complete and vectors.until is not None:
        yield f"vectors of {name} read by {vectors.path}: {later_text(vectors.until)}"
    if recall is not None and not recall.reason and recall.until is not None:
        yield f"recall of {name}, vectors read by {recall.path}: {later_text(recall.until)}"
    if seen.isolation is not None and seen.isolation.until is not None:
        yield f"tenants of {name} read by segments: {later_text(seen.isolation.until)}"


def summary_text(report: DriftReport) -> str:
    """The last line: how many checks ended how, what does not count, rows, exit code."""
    counts = report.check_counts
    rows = [c for seen in report.snapshot.collections.values() if (c := seen.census) is not None]
    text = (
        f"{plural(len(report.runs), 'check')}: {counts['pass']} passed, {counts['fail']} failed, "
        f"{counts['inconclusive']} inconclusive, {counts['not_run']} not run"
    )
    if rows:
        paths = " and ".join(sorted({c.path for c in rows}))
        text += f" · {plural(sum(c.rows_read for c in rows), 'row')} read by {paths}"
    told = report.finding_counts
    accepted = [
        words
        for number, words in (
            (told["suppressed"], f"{told['suppressed']} suppressed"),
            (told["baseline"], f"{told['baseline']} in the baseline"),
            (len(report.gone), f"{len(report.gone)} gone since the baseline"),
        )
        if number
    ]
    if accepted:
        text += f" · {', '.join(accepted)}"
    return f"{text} · exit code {report.exit_code}"


def write_checks(checks: Iterable[CheckInfo], file: TextIO) -> None:
    """Writes the list of checks to a stream."""
    console = console_for(file)
    listed = list(checks)
    width = max(len(c.id) for c in listed)
    for one in listed:
        _line(
            console,
            Text.assemble(
                (f"{one.id:{width}}", "bold"),
                "  ",
                (f"{one.severity.value:4}", _STYLES[one.severity.value]),
                f"  {one.title}",
            ),
        )
