"""The one page on which a run ends: timeline, findings, backups, drill."""

from __future__ import annotations

from collections.abc import Sequence

from kitestring.model.backup import BackupSummary
from kitestring.model.drill import DrillRecord
from kitestring.model.finding import Finding, Verdict
from kitestring.model.report import DriftReport
from kitestring.model.timeline import TimelineStep
from kitestring.render.drill import page_values
from kitestring.render.html import render_page

Bar = tuple[str, float, str, str]  # label, value, words, kind


def report_page(
    *,
    title: str,
    drift: DriftReport | None,
    drill: DrillRecord | None,
    backups: Sequence[BackupSummary],
    timeline: Sequence[TimelineStep],
    corrected: DriftReport | None = None,
    lead: str = "",
) -> str:
    """A self-contained HTML page.

    Args:
        drift: the comparison whose findings are shown.
        corrected: a later comparison, after correction: it tells which findings are gone.
        lead: one line below the title.
    """
    return render_page(
        "report.html.j2",
        title=title,
        lead=lead,
        drift=drift,
        corrected=corrected,
        drill=drill,
        backups=backups,
        timeline=timeline,
        outcome=outcome,
        model_rows=model_rows,
        **page_values(),
    )


def outcome(finding: Finding, corrected: DriftReport | None) -> tuple[str, str]:
    """Whether a finding is gone after correction: the kind of its badge, and the word."""
    if corrected is None:
        return "none", "not compared again"
    for later in corrected.findings:
        if later.fingerprint == finding.fingerprint:
            return "fail", "still there"
    # a finding that could not be looked for again is not corrected
    runs = [run for run in corrected.runs if run.check == finding.check]
    same = [run for run in runs if finding.subject.startswith(run.subject)] or runs
    if not same:
        return "none", "not checked again"
    if any(run.verdict is Verdict.INCONCLUSIVE for run in same):
        return "inconclusive", "inconclusive"
    return "pass", "corrected"


def model_rows(report: DriftReport) -> list[tuple[str, list[Bar]]]:
    """Rows by embedding-model label, for each collection that has such a label."""
    return [
        (
            name,
            [
                (label or "(no label)", float(rows), f"{rows:,}", "")
                for label, rows in sorted(seen.census.models.items(), key=lambda m: (-m[1], m[0]))
            ],
        )
        for name, seen in sorted(report.snapshot.collections.items())
        if seen.census is not None and seen.census.models
    ]
