"""A drift report as JUnit XML: one test case for each check.

A failed check is a `failure`, one that could not tell an `error`: neither passes. A check that was
left out is `skipped`. What does not count (warnings, what is accepted) is told in `system-out`.
There is no one schema; the elements are those that Jenkins's and GitLab's readers share.
"""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from kitestring.model.checkout import Checkout
from kitestring.model.finding import CheckRun, Finding, Verdict
from kitestring.model.report import DriftReport, group_of
from kitestring.model.words import plural
from kitestring.render.words import printable


def drift_junit(report: DriftReport, checkout: Checkout) -> str:
    """The report as XML text."""
    counts = report.check_counts
    totals = {
        "tests": str(len(report.runs) + len(report.not_run)),
        "failures": str(counts["fail"]),
        "errors": str(counts["inconclusive"]),
        "skipped": str(counts["not_run"]),
        "time": f"{report.snapshot.seconds:.3f}",
    }
    name = f"drift of {report.cluster}"
    root = ET.Element("testsuites", {"name": name, **totals})
    at = datetime.fromtimestamp(report.taken_at / 1000, UTC)
    suite = ET.SubElement(
        root, "testsuite", {"name": name, "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}", **totals}
    )
    for run in report.runs:
        _case(suite, run, report, checkout)
    for left in report.not_run:
        ET.SubElement(_empty(suite, left.check, report), "skipped", {"message": left.reason})
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, run: CheckRun, report: DriftReport, checkout: Checkout) -> None:
    case = _empty(suite, run.check, report)
    place = next((f.location for f in run.findings if f.location), None)
    if place is not None:
        case.set("file", printable(checkout.relative(place.file)))
        case.set("line", str(place.line))
    grave = [f for f in run.findings if report.fails(f)]
    rest = [f for f in run.findings if not report.fails(f)]
    if run.verdict is not Verdict.PASS:
        failed = run.verdict is Verdict.FAIL
        message = run.reason or (
            grave[0].message if len(grave) == 1 else plural(len(grave), "finding")
        )
        what = ET.SubElement(
            case,
            "failure" if failed else "error",
            {"message": printable(message), "type": "drift" if failed else "inconclusive"},
        )
        what.text = "\n\n".join(_text(f, checkout) for f in grave) or run.reason
    if rest:
        told = "\n\n".join(_text(f, checkout) for f in rest)
        ET.SubElement(case, "system-out").text = told


def _empty(suite: ET.Element, check: str, report: DriftReport) -> ET.Element:
    family = check.split(".", 1)[0]
    return ET.SubElement(
        suite, "testcase", {"classname": f"{report.cluster}.{family}", "name": check, "time": "0"}
    )


def _text(finding: Finding, checkout: Checkout) -> str:
    rows = [f"{group_of(finding)}: {finding.subject}: {finding.message}"]
    if finding.expected or finding.observed:
        rows += [f"expected: {finding.expected}", f"observed: {finding.observed}"]
    if finding.hint:
        rows.append(f"hint: {finding.hint}")
    if finding.location is not None:
        rows.append(f"spec: {checkout.relative(finding.location.file)}:{finding.location.line}")
    if finding.accepted is not None:
        rows.append(str(finding.accepted))
    return "\n".join(printable(row) for row in rows)
