"""A drift report as JSON, for programs. Keys are only ever added within a `schema_version`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from kitestring.model.codec import to_plain
from kitestring.model.report import CheckInfo, DriftReport
from kitestring.model.snapshot import ObservedCollection

DRIFT_SCHEMA_VERSION = 1


def drift_json(report: DriftReport) -> str:
    """The report as JSON text, with a line feed at its end."""
    return json.dumps(drift_facts(report), indent=2, ensure_ascii=False) + "\n"


def drift_facts(report: DriftReport) -> dict[str, Any]:
    """The report as plain values. Times are ms since the epoch, durations seconds."""
    return {
        "schema_version": DRIFT_SCHEMA_VERSION,
        "cluster": report.cluster,
        "spec": report.spec_file,
        "server_version": report.server_version,
        "taken_at": report.taken_at,
        "verdict": report.verdict.value,
        "exit_code": report.exit_code,
        "fail_on": report.fail_on.value,
        "summary": {
            "checks": dict(report.check_counts),
            "findings": dict(report.finding_counts),
        },
        "checks": [
            {
                "id": run.check,
                "title": run.title,
                "verdict": run.verdict.value,
                "findings": len(run.findings),
                "reason": run.reason,
            }
            for run in report.runs
        ],
        "not_run": [{"id": left.check, "reason": left.reason} for left in report.not_run],
        "findings": [finding.as_dict() for finding in report.findings],
        "baseline": {"file": report.baseline, "gone": [entry.as_dict() for entry in report.gone]}
        if report.baseline
        else None,
        "snapshot": {
            "seconds": round(report.snapshot.seconds, 3),
            "collections": [
                {"name": name, **collection_facts(seen)}
                for name, seen in sorted(report.snapshot.collections.items())
            ],
            "aliases": dict(report.snapshot.aliases),
            "backups": None if report.snapshot.backups is None else len(report.snapshot.backups),
            "drills": len(report.snapshot.drills),
            "infra": None
            if report.snapshot.infra is None
            else {
                "available": report.snapshot.infra.available,
                "reason": report.snapshot.infra.reason,
                "source": report.snapshot.infra.source,
                "target": report.snapshot.infra.target,
                "objects": report.snapshot.infra.objects,
            },
        },
    }


def checks_facts(checks: Iterable[CheckInfo]) -> dict[str, Any]:
    """The documentation of the checks as plain values."""
    return {
        "schema_version": 1,
        "checks": [
            {
                "id": one.id,
                "family": one.family,
                "title": one.title,
                "severity": one.severity.value,
                "evidence": one.evidence,
                "meaning": one.meaning,
                "cause": one.cause,
                "mend": one.mend,
            }
            for one in checks
        ],
    }


def collection_facts(seen: ObservedCollection) -> dict[str, Any]:
    """What was observed of one collection, as plain values."""
    census = seen.census
    return {
        "load_state": seen.info.load_state,
        "replicas": seen.info.replicas,
        "segments": len(seen.segments),
        "rows": None
        if census is None
        else {
            "path": census.path,
            "complete": census.complete,
            "reason": census.reason,
            "note": census.note,
            "watermark": census.watermark,
            "read": census.rows_read,
            "counted": census.counted,
            "distinct_keys": census.distinct_keys,
            "ledger": census.ledger_rows,
            "models": None if census.models is None else dict(census.models),
            "chunkers": None if census.chunkers is None else dict(census.chunkers),
            "seconds": round(census.seconds, 3),
        },
        "corpus": None if seen.corpus is None else to_plain(seen.corpus),
        "recall": None if seen.recall is None else to_plain(seen.recall),
        "isolation": None if seen.isolation is None else to_plain(seen.isolation),
        "retrieval": None if seen.retrieval is None else to_plain(seen.retrieval),
        "canary": None if seen.canary is None else to_plain(seen.canary),
    }
