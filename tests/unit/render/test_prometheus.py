"""Metrics: what they say, and that a strict reader of the text format takes them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.backup.metrics import write_metrics
from kitestring.errors import UsageError
from kitestring.model.backup import BackupSummary
from kitestring.model.drill import CollectionScore, DrillRecord, DrillSummary, Objective, Recall
from kitestring.render.prometheus import Gauge, metrics_as_text
from kitestring.render.prometheus_backup import backups_as_metrics, drills_as_metrics

NOW = 1_780_000_000_000
HOUR = 3_600_000
SAMPLE = re.compile(r"([a-z_:][a-z0-9_:]*)\{(.*)\} (\S+)")
LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
UNITS = ("_seconds", "_bytes", "_ratio", "_rows")


def parse(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Reads the text format by its grammar; fails at whatever a scrape would refuse."""
    assert text.endswith("\n")
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    family, helped, done = "", "", set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
            assert line.split(" ", 3)[3].strip()
            continue
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert (kind, family) == ("gauge", helped)
            assert family not in done, "a family is in one piece"
            done.add(family)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, inner, value = match.groups()
        assert name == family
        labels = LABEL.findall(inner)
        assert "".join(f'{k}="{v}",' for k, v in labels) == inner + ",", line
        key = (name, tuple(sorted(labels)))
        assert key not in found, "a series is there once"
        found[key] = float(value)
    return found


def value(text: str, name: str, **labels: str) -> float:
    return parse(text)[f"kitestring_{name}", tuple(sorted({"cluster": "c", **labels}.items()))]


def backup(n: int, **changes: object) -> BackupSummary:
    at = NOW - n * HOUR
    made = BackupSummary(
        f"b{n}", "c", "physical", at, at, "v2.3.5", ("docs", "im"), 100, 1000, 250, "", at, "full",
        at + 42_000, 750,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def drill(of: str, passed: bool, hours: int) -> DrillSummary:
    return DrillSummary(
        f"d-{of}", of, NOW - hours * HOUR, passed, 120.5, 33.25, {"copy": 3.0, "import": 30.25}
    )


RECORD = DrillRecord(
    "d-b1", "b1", "c", "v2.3.5", NOW, NOW, NOW, 120.5, 33.25, (),
    (
        CollectionScore("docs", 1, 1, True, True, 0, recall=Recall(10, 50, 0.98, 0.96, 0.99, 0.9)),
        CollectionScore("im", 1, 1, True, True, 0),
    ),
    (Objective("rpo", "", "", True), Objective("rto", "", "", False)),
    False,
)  # fmt: skip


def test_a_drill_of_a_sample_is_not_that_of_a_backup() -> None:
    drills = [drill("b3", True, 2), replace(drill("b2", True, 1), sampled=0.1)]
    text = backups_as_metrics("c", [backup(2), backup(3)], drills, RECORD, NOW)
    assert value(text, "backup_newest_drilled_age_seconds") == 10800
    assert value(text, "drill_newest_passed_timestamp_seconds") == NOW / 1000 - 7200


def test_a_backup_of_the_future_is_not_the_newest() -> None:
    text = backups_as_metrics("c", [backup(1), backup(-24)], [], RECORD, NOW)
    assert value(text, "backups", state="future") == 1
    assert value(text, "backups", state="kept") == 1
    assert value(text, "backup_newest_age_seconds") == 3600


def test_what_the_metrics_say() -> None:
    backups = [
        backup(1, collections=("docs",), verified_at=None),
        backup(2),
        backup(3, marked_at=NOW),
        backup(4, readable=False),
    ]
    drills = [drill("b3", True, 2), drill("b1", False, 1)]
    text = backups_as_metrics("c", backups, drills, RECORD, NOW)
    assert value(text, "backups", state="kept") == 2
    assert value(text, "backups", state="marked") == 1
    assert value(text, "backups", state="unreadable") == 1
    assert value(text, "backup_newest_age_seconds") == 3600
    assert value(text, "backup_newest_verified_age_seconds") == 7200
    assert value(text, "backup_newest_drilled_age_seconds") == 10800
    assert value(text, "backup_newest_drilled_timestamp_seconds") == NOW / 1000 - 10800
    newest = "backup_collection_newest_timestamp_seconds"
    assert value(text, newest, collection="docs") == NOW / 1000 - 3600
    assert value(text, newest, collection="im") == NOW / 1000 - 7200
    assert value(text, "backup_size_bytes") == 1000
    assert value(text, "backup_reuse_ratio") == 0.75
    assert value(text, "backup_duration_seconds") == 42
    assert value(text, "drills", verdict="failed") == 1
    assert value(text, "drill_passed") == 0
    assert value(text, "drill_newest_passed_timestamp_seconds") == NOW / 1000 - 7200
    assert value(text, "drill_rpo_seconds") == 120.5
    assert value(text, "drill_rto_seconds") == 33.25
    assert value(text, "drill_phase_duration_seconds", phase="import") == 30.25
    assert value(text, "drill_recall_ratio", collection="docs", k="10") == 0.98
    assert value(text, "drill_recall_low_ratio", collection="docs", k="10") == 0.96
    assert value(text, "drill_objective_met", objective="rto") == 0
    assert parse(drills_as_metrics("c", drills, RECORD)).items() <= parse(text).items()


def test_names_end_with_a_unit_where_there_is_one() -> None:
    text = backups_as_metrics("c", [backup(1)], [drill("b1", True, 1)], RECORD, NOW)
    without = {name for name, _ in parse(text) if not name.endswith(UNITS)}
    assert without == {
        "kitestring_backups", "kitestring_drills", "kitestring_drill_passed",
        "kitestring_drill_objective_met",
    }  # fmt: skip


def test_an_empty_catalog_has_no_age() -> None:
    text = backups_as_metrics("c", [], [], None, NOW)
    assert {name for name, _ in parse(text)} == {"kitestring_backups", "kitestring_drills"}


@pytest.mark.parametrize("text", ['a "quoted" name', "back\\slash", "two\nlines", "ä, {b}=c"])
def test_labels_are_escaped(text: str) -> None:
    made = metrics_as_text([Gauge("x_seconds", f"help\n{text}", [({"name": text}, 1.5)])])
    ((_, labels),) = parse(made)
    escaped = dict(labels)["name"]
    back = re.sub(r'\\(["\\n])', lambda m: "\n" if m[1] == "n" else m[1], escaped)
    assert back == text


def test_a_textfile_is_written_whole_and_only_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kitestring.prom"
    path.write_text("older")
    write_metrics(path, "new\n")
    assert path.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match=r"\.prom"):
        write_metrics(tmp_path / "kitestring.txt", "new\n")
