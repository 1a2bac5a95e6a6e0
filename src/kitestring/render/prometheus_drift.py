"""A drift report as metrics.

What a textfile collector serves grows stale unnoticed: take the age of a run from
`time() - kitestring_drift_last_run_timestamp_seconds`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kitestring.model.finding import Finding, Verdict
from kitestring.model.report import DriftReport
from kitestring.render.prometheus import Gauge, Labels, metrics_as_text


def drift_prometheus(report: DriftReport) -> str:
    """The metrics of one run."""
    return metrics_as_text(_gauges(report))


def _gauges(report: DriftReport) -> Iterator[Gauge]:
    mine: Labels = {"cluster": report.cluster}
    yield Gauge(
        "kitestring_drift_last_run_timestamp_seconds",
        "When the cluster was observed",
        [(mine, report.taken_at / 1000)],
    )
    yield Gauge(
        "kitestring_drift_duration_seconds",
        "Time it took to observe the cluster",
        [(mine, report.snapshot.seconds)],
    )
    yield Gauge(
        "kitestring_drift_exit_code",
        "0 clean, 2 drift, 3 a check could not tell",
        [(mine, report.exit_code)],
    )
    yield Gauge(
        "kitestring_drift_verdict",
        "1 for the verdict of the run, 0 for the others",
        [({**mine, "verdict": v.value}, float(v is report.verdict)) for v in Verdict],
    )
    yield Gauge(
        "kitestring_drift_checks",
        "Checks, by how they ended",
        [({**mine, "verdict": name}, n) for name, n in report.check_counts.items()],
    )
    yield Gauge(
        "kitestring_drift_check_verdict",
        "1 for the verdict of a check, 0 for the others; no series where it was not run",
        [
            ({**mine, "check": run.check, "verdict": v.value}, float(v is run.verdict))
            for run in report.runs
            for v in Verdict
        ],
    )
    yield Gauge(
        "kitestring_drift_findings",
        "Findings by check, severity and state: open ones count for the verdict",
        _findings(report, mine),
    )
    if report.baseline:
        yield Gauge(
            "kitestring_drift_baseline_gone",
            "Findings of the baseline that are not found any more",
            [(mine, len(report.gone))],
        )


def _findings(report: DriftReport, mine: Labels) -> list[tuple[Labels, float]]:
    """A series of each check that ran, at its worst severity, is there at 0 too: so a rule sees
    a finding come and go."""
    counts = Counter((f.check, f.severity.value, _state(f)) for f in report.findings)
    for run in report.runs:
        info = report.info(run.check)
        if info is not None:
            counts.setdefault((run.check, info.severity.value, "open"), 0)
    return [
        ({**mine, "check": check, "severity": severity, "state": state}, number)
        for (check, severity, state), number in sorted(counts.items())
    ]


def _state(finding: Finding) -> str:
    if finding.accepted is not None:
        return finding.accepted.by
    return "inconclusive" if finding.inconclusive else "open"
