"""A drift report as GitHub's workflow commands: annotations of the spec's lines.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.model.checkout import Checkout
from kitestring.model.finding import Finding, Severity
from kitestring.model.report import DriftReport, group_of
from kitestring.render.findings import summary_text
from kitestring.render.words import printable


def drift_github(report: DriftReport, checkout: Checkout) -> str:
    """One command a finding, and the summary as a line of plain text."""
    lines = [_command(report, finding, checkout) for finding in report.findings]
    return "\n".join((*lines, *_silent(report), summary_text(report))) + "\n"


def _command(report: DriftReport, finding: Finding, checkout: Checkout) -> str:
    """An error where the finding gives an exit code other than 0, else a warning or a notice."""
    if report.fails(finding):
        level = "error"
    elif finding.counts and finding.severity is not Severity.INFO:
        level = "warning"
    else:
        level = "notice"
    properties = {}
    if finding.location is not None:
        place = finding.location
        properties = {
            "file": checkout.relative(place.file),
            "line": str(place.line),
            "col": str(place.column),
        }
    properties["title"] = f"{finding.check} ({group_of(finding)})"
    message = f"{finding.subject}: {finding.message}"
    if finding.expected or finding.observed:
        message += f"\nexpected: {finding.expected}\nobserved: {finding.observed}"
    if finding.hint:
        message += f"\nhint: {finding.hint}"
    if finding.accepted is not None:
        message += f"\n{finding.accepted}"
    told = ",".join(f"{name}={_property(text)}" for name, text in properties.items())
    return f"::{level} {told}::{_data(message)}"


def _silent(report: DriftReport) -> Iterator[str]:
    """Checks that could not tell and have no finding of their own, together by their reason."""
    blind: dict[str, list[str]] = {}
    for run in report.runs:
        if run.reason and not run.findings:
            blind.setdefault(run.reason, []).append(run.check)
    for reason, checks in blind.items():
        told = f"{', '.join(checks)}: {reason}"
        yield f"::error title=inconclusive::{_data(told)}"


def _data(text: str) -> str:
    """A message; a line feed in it is told as one, and nothing in it begins a command."""
    lines = (printable(line) for line in text.replace("%", "%25").split("\n"))
    return "%0A".join(lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
