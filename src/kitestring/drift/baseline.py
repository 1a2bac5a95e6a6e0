"""Baseline files: written whole, read with care, refused where they are another cluster's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kitestring.clients.repository import path_in_repository
from kitestring.clients.textfile import require_writable, write_whole
from kitestring.drift.run import detect, run_drift
from kitestring.errors import BaselineMismatch, BaselineUnreadable
from kitestring.model.baseline import Baseline, BaselineEntry, baseline_entries
from kitestring.model.finding import Severity, Verdict
from kitestring.model.report import DriftReport
from kitestring.spec.loaded import LoadedSpec

SCHEMA_VERSION = 1
KIND = "kitestring-baseline"
_WRITE = "write one with `kitestring drift --write-baseline FILE`"


def read_baseline(file: Path, loaded: LoadedSpec) -> Baseline:
    """The baseline in a file.

    Raises:
        BaselineUnreadable: there is none, or none of this version.
        BaselineMismatch: it is of another cluster or spec.
    """
    baseline = _parsed(file)
    _same(baseline, loaded)
    return baseline


def write_baseline(
    file: Path, report: DriftReport, loaded: LoadedSpec, former: Baseline | None = None
) -> Baseline:
    """Writes what a run found. Of a former baseline it keeps what this run did not look for.

    Raises:
        BaselineMismatch: the file holds the baseline of another cluster or spec.
        BaselineUnreadable: the file is there and is no baseline; it is left alone.
        StoreError: the file can't be written.
    """
    if file.exists():
        _same(_parsed(file), loaded)
    entries = baseline_entries(report.findings)
    decided = {run.check for run in report.runs if run.verdict is not Verdict.INCONCLUSIVE}
    there = {entry.fingerprint for entry in entries}
    kept = [
        entry
        for entry in (former.entries if former else ())
        if entry.check not in decided and entry.fingerprint not in there
    ]
    made = Baseline(
        cluster=loaded.spec.cluster.name,
        spec=path_in_repository(loaded.file),
        taken_at=report.taken_at,
        entries=tuple(sorted((*entries, *kept), key=lambda e: (e.check, e.subject, e.fingerprint))),
        file=str(file),
    )
    write_whole(file, json.dumps(_facts(made), indent=2, ensure_ascii=False) + "\n")
    return made


def compare(
    loaded: LoadedSpec,
    *,
    baseline_file: Path | None = None,
    baseline_out: Path | None = None,
    **options: Any,
) -> DriftReport:
    """`detect` with the baseline of one file, and what was found written to another.

    Files are looked at before anything is observed. What is written is accepted at once: what is
    left to fail is what could not be told.

    Args:
        options: those of `detect`.

    Raises:
        BaselineUnreadable, BaselineMismatch, StoreError: see `read_baseline`, `write_baseline`.
    """
    former = read_baseline(baseline_file, loaded) if baseline_file else None
    if baseline_out is not None:
        require_writable(baseline_out)
        if baseline_out.exists():
            read_baseline(baseline_out, loaded)
    report = detect(loaded, baseline=former, **options)
    if baseline_out is None:
        return report
    made = write_baseline(baseline_out, report, loaded, former)
    wanted = {k: options[k] for k in ("only", "fail_on", "without") if k in options}
    return run_drift(loaded, report.snapshot, baseline=made, **wanted)


def _facts(baseline: Baseline) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "cluster": baseline.cluster,
        "spec": baseline.spec,
        "taken_at": baseline.taken_at,
        "findings": [entry.as_dict() for entry in baseline.entries],
    }


def _parsed(file: Path) -> Baseline:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaselineUnreadable(
            f"there is no baseline at {file}", hint=_WRITE, subject=str(file)
        ) from None
    except OSError as error:
        message = f"the baseline {file} can't be read: {error.strerror}"
        raise BaselineUnreadable(message, hint=_WRITE, subject=str(file)) from None
    except ValueError:
        raise _no_baseline(file) from None
    if not isinstance(facts, dict) or facts.get("kind") != KIND:
        raise _no_baseline(file)
    if facts.get("schema_version") != SCHEMA_VERSION:
        message = f"{file} is a baseline of version {facts.get('schema_version')!r}"
        hint = f"this version of kitestring reads version {SCHEMA_VERSION}: {_WRITE}"
        raise BaselineUnreadable(message, hint=hint, subject=str(file))
    try:
        entries = tuple(
            BaselineEntry(
                str(one["fingerprint"]),
                str(one["check"]),
                Severity(one["severity"]),
                str(one["subject"]),
                str(one["message"]),
                str(one["observed"]),
            )
            for one in facts["findings"]
        )
        return Baseline(
            str(facts["cluster"]), str(facts["spec"]), int(facts["taken_at"]), entries, str(file)
        )
    except (KeyError, TypeError, ValueError):
        raise _no_baseline(file) from None


def _no_baseline(file: Path) -> BaselineUnreadable:
    return BaselineUnreadable(f"{file} is no baseline", hint=_WRITE, subject=str(file))


def _same(baseline: Baseline, loaded: LoadedSpec) -> None:
    for what, theirs, ours in (
        ("cluster", baseline.cluster, loaded.spec.cluster.name),
        ("spec", baseline.spec, path_in_repository(loaded.file)),
    ):
        if theirs != ours:
            raise BaselineMismatch(
                f"the baseline {baseline.file} is of the {what} `{theirs}`, not of `{ours}`",
                hint=f"name the baseline of this {what}, or write it to another file",
                subject=baseline.file,
            )
