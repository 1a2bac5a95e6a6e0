"""Backups as text, and the names that `restore` takes."""

from __future__ import annotations

import pytest

from kitestring.backup.restore.request import parse_renames
from kitestring.errors import UsageError
from kitestring.model.backup import BackupSummary
from kitestring.model.drill import DrillSummary
from kitestring.render.backup import bytes_as_text, time_as_text
from kitestring.render.backup_list import backups_as_text
from kitestring.render.prune import prune_as_text, prune_facts


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (9_310_555, "9.3 MB"), (5e15, "5000.0 TB")],
)
def test_sizes(size: int, text: str) -> None:
    assert bytes_as_text(size) == text


def test_times() -> None:
    assert time_as_text(1_700_000_000_000) == "2023-11-14 22:13:20Z"
    assert time_as_text(None) == "-"


def test_what_can_not_be_read_is_in_the_list_with_its_reason() -> None:
    broken = BackupSummary(
        "b1", "", "", 0, 0, "", (), 0, 0, 0, "", readable=False, problem="its manifest is missing"
    )
    text = backups_as_text([broken], [], 0)
    assert "can't be read" in text
    assert "b1: its manifest is missing" in text
    assert backups_as_text([], [], 0) == "no backups"


def test_a_line_of_the_list() -> None:
    now, hour = 1_780_000_000_000, 3_600_000
    made = BackupSummary(
        "20260528T202640Z-5ca000", "c", "physical", now, now - 3 * hour, "v2.3.5", ("docs",),
        1_234_567, 4_000_000, 1_000_000, "", now - 2 * hour, "sample", now, 3_000_000,
        now - 600_000,
    )  # fmt: skip
    drills = [
        DrillSummary("d1", made.id, now - 9 * hour, False, 1, 1),
        DrillSummary("d2", made.id, now - 2 * hour, True, 1, 1),
    ]
    line = backups_as_text([made], drills, now).splitlines()[-1]
    assert line.split() == [
        made.id, "3h", "physical", "docs", "1,234,567", "4.0", "MB", "1.0", "MB", "75%",
        "sample", "2h", "passed", "2h", "10m",
    ]  # fmt: skip


PRUNED = {
    "dry_run": True,
    "decisions": [
        {"id": "b3", "keep": True, "rules": ["last", "daily"]},
        {"id": "b2", "keep": False, "rules": []},
        {"id": "b1", "keep": False, "rules": []},
    ],
    "marked": ["b2"],
    "unmarked": [],
    "removed": ["b1"],
    "waiting": [["b2", 1_780_000_000_000]],
    "objects": 3,
    "bytes": 2_500_000_000,
    "later_objects": 1,
    "later_bytes": 500_000_000,
    "versions": {
        "deleted": 0,
        "deleted_bytes": 0,
        "kept": 2,
        "kept_bytes": 10**9,
        "locked": 1,
        "why": "it is locked",
    },
    "refused": [{"key": "pool/c/x", "why": "it is locked"}],
    "problems": [],
}


def test_a_prune_tells_what_is_freed_and_what_it_costs() -> None:
    text = prune_as_text(PRUNED, 0.1)
    for part in (
        "last, daily",
        "goes after 2026-05-28 20:26:40Z",
        "3 objects, 2.5 GB (0.25 a month) would be freed",
        "1 object, 500.0 MB (0.05 a month) more",
        "refused: pool/c/x: it is locked",
        "2 old versions of deleted objects, 1.0 GB (0.10 a month) still in the bucket",
        "1 of them refused",
    ):
        assert part in text
    assert "a month" not in prune_as_text(PRUNED, None)
    facts = prune_facts(PRUNED, 0.1)
    assert (facts["schema_version"], facts["cost_per_month"]) == (1, 0.25)
    assert "cost_per_month" not in prune_facts(PRUNED, None)


def test_renames() -> None:
    assert parse_renames(("a=b", "c=d")) == {"a": "b", "c": "d"}
    for wrong in (("a",), ("=b",), ("a=",), ("a=b", "a=c")):
        with pytest.raises(UsageError):
            parse_renames(wrong)
