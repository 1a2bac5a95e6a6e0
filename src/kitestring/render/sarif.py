"""A drift report as SARIF 2.1.0 (OASIS, errata 01), as code scanning reads it.

A check is a rule, a finding a result at a line of the spec. A finding that could not be told is of
the kind `open`, and stands among the run's notifications too. What the spec suppresses has a
suppression; with a baseline each result says whether it is new.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from kitestring import __version__
from kitestring.model.baseline import BaselineEntry
from kitestring.model.checkout import Checkout
from kitestring.model.finding import BASELINE, SUPPRESSED, Finding, Location, Severity
from kitestring.model.report import CheckInfo, DriftReport, group_of

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "%SRCROOT%"
_LEVELS = {Severity.FAIL: "error", Severity.WARN: "warning", Severity.INFO: "note"}


def drift_sarif(report: DriftReport, checkout: Checkout) -> str:
    """The report as JSON text."""
    return json.dumps(sarif_log(report, checkout), indent=2, ensure_ascii=False) + "\n"


def sarif_log(report: DriftReport, checkout: Checkout) -> dict[str, Any]:
    """The report as plain values."""
    rules = {info.id: number for number, info in enumerate(report.checks)}
    results = [_result(f, report, rules, checkout) for f in report.findings]
    results += [_absent(entry, report, rules, checkout) for entry in report.gone]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Kitestring",
                        "version": __version__,
                        "semanticVersion": __version__,
                        "rules": [_rule(info) for info in report.checks],
                    }
                },
                "automationDetails": {"id": f"kitestring/drift/{report.cluster}/"},
                "columnKind": "unicodeCodePoints",
                "invocations": [_invocation(report, rules)],
                "results": results,
                "properties": {
                    "cluster": report.cluster,
                    "serverVersion": report.server_version,
                    "verdict": report.verdict.value,
                    "notRun": {left.check: left.reason for left in report.not_run},
                },
            }
        ],
    }


def _rule(info: CheckInfo) -> dict[str, Any]:
    text = f"{info.meaning} Cause: {info.cause} Mend: {info.mend}"
    markdown = f"{info.meaning}\n\n**Cause.** {info.cause}\n\n**Mend.** {info.mend}"
    return {
        "id": info.id,
        "name": "".join(word.capitalize() for word in info.id.replace(".", "-").split("-")),
        "shortDescription": {"text": info.title},
        "fullDescription": {"text": info.meaning},
        "help": {"text": text, "markdown": markdown},
        "defaultConfiguration": {"level": _LEVELS[info.severity]},
        "properties": {
            "tags": ["milvus", "drift", info.family],
            "page": f"docs/reference/checks/{info.id}.md",
        },
    }


def _result(
    finding: Finding, report: DriftReport, rules: Mapping[str, int], checkout: Checkout
) -> dict[str, Any]:
    message = f"{finding.subject}: {finding.message}"
    if finding.expected or finding.observed:
        message += f" (expected {finding.expected}; observed {finding.observed})"
    if finding.hint:
        message += f". Hint: {finding.hint}"
    place = finding.location or Location(report.spec_file, 1)
    result: dict[str, Any] = {
        **_rule_of(finding.check, rules),
        # any kind but `fail` has no level (3.27.10)
        "kind": "open" if finding.inconclusive else "fail",
        "level": "none" if finding.inconclusive else _LEVELS[finding.severity],
        "message": {"text": message},
        "locations": [_location(place, finding.subject, checkout)],
        "partialFingerprints": _fingerprints(finding.fingerprint),
        "properties": {
            "group": group_of(finding),
            "expected": finding.expected,
            "observed": finding.observed,
        },
    }
    accepted = finding.accepted
    if accepted is not None and accepted.by == SUPPRESSED:
        suppression: dict[str, Any] = {
            "kind": "external",
            "status": "accepted",
            "justification": f"{accepted.reason} (until {accepted.until})",
        }
        if accepted.location is not None:
            suppression["location"] = _location(accepted.location, "", checkout)
        result["suppressions"] = [suppression]
    else:  # an empty list says that it is not suppressed (3.27.23)
        result["suppressions"] = []
    if report.baseline:
        old = accepted is not None and accepted.by == BASELINE
        result["baselineState"] = "unchanged" if old else "new"
    return result


def _absent(
    entry: BaselineEntry, report: DriftReport, rules: Mapping[str, int], checkout: Checkout
) -> dict[str, Any]:
    """A finding of the baseline that is gone."""
    return {
        **_rule_of(entry.check, rules),
        "kind": "fail",
        "level": _LEVELS[entry.severity],
        "message": {"text": f"{entry.subject}: {entry.message}"},
        "locations": [_location(Location(report.spec_file, 1), entry.subject, checkout)],
        "partialFingerprints": _fingerprints(entry.fingerprint),
        "suppressions": [],
        "baselineState": "absent",
    }


def _rule_of(check: str, rules: Mapping[str, int]) -> dict[str, Any]:
    return {"ruleId": check, **({"ruleIndex": rules[check]} if check in rules else {})}


def _fingerprints(fingerprint: str) -> dict[str, str]:
    """Ours, and GitHub's key: without it, findings at one line of a spec would be taken for one."""
    return {
        "kitestringFinding/v1": fingerprint,
        "primaryLocationLineHash": f"{fingerprint}:1",
    }


def _location(place: Location, subject: str, checkout: Checkout) -> dict[str, Any]:
    path = checkout.relative(place.file)
    artifact = (
        {"uri": PurePath(path).as_uri()}
        if path.startswith("/")
        else {"uri": quote(path), "uriBaseId": ROOT}
    )
    found: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": artifact,
            "region": {"startLine": place.line, "startColumn": place.column},
        }
    }
    if subject:
        found["logicalLocations"] = [{"fullyQualifiedName": subject, "kind": "resource"}]
    return found


def _invocation(report: DriftReport, rules: Mapping[str, int]) -> dict[str, Any]:
    begun = datetime.fromtimestamp(report.taken_at / 1000, UTC)
    ended = begun + timedelta(seconds=report.snapshot.seconds)
    blind = [
        (run.check, run.reason or "; ".join(f.message for f in run.findings if f.inconclusive))
        for run in report.runs
        if run.verdict.value == "inconclusive"
    ]
    return {
        "executionSuccessful": True,
        "exitCode": report.exit_code,
        "startTimeUtc": _utc(begun),
        "endTimeUtc": _utc(ended),
        "toolExecutionNotifications": [
            {
                "level": "error",
                "message": {"text": f"{check} could not tell: {why}"},
                "associatedRule": {
                    "id": check,
                    **({"index": rules[check]} if check in rules else {}),
                },
            }
            for check, why in blind
        ],
    }


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
