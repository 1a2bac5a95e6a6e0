"""A drift report as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from kitestring.model.finding import Finding
from kitestring.model.report import GROUPS, DriftReport, group_of
from kitestring.model.words import plural
from kitestring.render.words import duration, printable, when

HEADINGS = {
    "fail": "Failures",
    "inconclusive": "Inconclusive",
    "warn": "Warnings",
    "info": "For information",
    "suppressed": "Suppressed",
    "baseline": "In the baseline",
}
_SPECIAL = re.compile(r"([\\*_\[\]<>|#~])")


def drift_markdown(report: DriftReport) -> str:
    """The report as Markdown, such as a pull request or a CI step summary shows."""
    return "\n".join(_drift(report)) + "\n"


def _drift(report: DriftReport) -> Iterator[str]:
    counts = report.check_counts
    yield f"# Drift of `{report.cluster}`: {report.verdict.value}"
    yield ""
    yield (
        f"{plural(sum(counts.values()) - counts['not_run'], 'check')}: {counts['pass']} passed, "
        f"{counts['fail']} failed, {counts['inconclusive']} inconclusive, "
        f"{counts['not_run']} not run. Exit code {report.exit_code}. "
        f"Milvus {plain(report.server_version)}, observed {when(report.taken_at)} in "
        f"{duration(report.snapshot.seconds)}."
    )
    for group in GROUPS:
        found = [f for f in report.findings if group_of(f) == group]
        if found:
            yield from ("", f"## {HEADINGS[group]}", "")
            for finding in found:
                yield from _finding(finding)
    if report.gone:
        yield from ("", "## Gone since the baseline", "")
        for entry in report.gone:
            yield f"- **`{entry.check}`** {plain(entry.subject)}: {plain(entry.message)}"
    yield from ("", "## Checks", "")
    yield from table(
        ("Check", "Verdict", "Findings"),
        [
            (f"`{r.check}`", _verdict(r.verdict.value, r.reason), str(len(r.findings)))
            for r in report.runs
        ]
        + [(f"`{left.check}`", f"not run: {left.reason}", "") for left in report.not_run],
    )
    yield from ("", "## Rows", "")
    yield from table(
        ("Collection", "Rows read", "Path", "Complete", "Seconds", "Models", "Note"),
        [
            (
                f"`{name}`",
                f"{c.rows_read:,}",
                plain(c.path),
                "yes" if c.complete else "no",
                f"{c.seconds:.2f}",
                plain("; ".join(f"{label}: {n:,}" for label, n in (c.models or {}).items())),
                plain(c.note),
            )
            for name, seen in sorted(report.snapshot.collections.items())
            if (c := seen.census) is not None
        ],
    )


def _finding(finding: Finding) -> Iterator[str]:
    yield f"- **`{finding.check}`** {plain(finding.subject)}: {plain(finding.message)}"
    if finding.expected or finding.observed:
        yield f"  - expected {plain(finding.expected)}; observed {plain(finding.observed)}"
    if finding.hint:
        yield f"  - hint: {plain(finding.hint)}"
    if finding.location:
        yield f"  - {plain(str(finding.location))}"
    if finding.accepted:
        yield f"  - {plain(str(finding.accepted))}"


def _verdict(verdict: str, reason: str) -> str:
    return f"{verdict} ({reason})" if reason else verdict


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table, or `None.`."""
    listed = list(rows)
    if not listed:
        yield "None."
        return
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in listed:
        yield "| " + " | ".join(row) + " |"


def plain(text: str) -> str:
    """Text that Markdown shows as it stands; code in backticks stays code."""
    parts = re.split(r"(`[^`\n]*`)", printable(text.replace("\n", " ")))
    return "".join(
        part
        if part.startswith("`") and part.endswith("`") and len(part) > 1
        else _SPECIAL.sub(r"\\\1", part)
        for part in parts
    )
