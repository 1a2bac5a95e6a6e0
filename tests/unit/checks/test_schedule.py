"""Tasks of a host: entries that were edited, tasks that run no more, and those that failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.drift.run import run_drift
from kitestring.model.tasks import TaskSeen
from tests.unit.conftest import HOUR, NOW

LINE = "30 1 * * * -m kitestring scheduled backup --spec /etc/k.yaml"
WELL = TaskSeen("backup", LINE, LINE, 86400.0, ended=NOW - HOUR, log="/var/log/backup.log")


def told(loaded, snapshot, *tasks):
    seen = replace(snapshot, taken_at=NOW, tasks=tasks)
    return [
        (f.check, f.severity.value) for f in run_drift(loaded, seen, only=["schedule"]).findings
    ]


def test_nothing_is_said_of_what_is_well_or_not_there(spec_from, clean):
    assert told(spec_from(), clean) == []
    assert told(spec_from(), clean, WELL, replace(WELL, line=""), replace(WELL, ended=None)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"line": LINE.replace("30 1", "30 4")}, [("schedule.cron-entry", "fail")]),
        ({"line": LINE + " --verbose"}, [("schedule.cron-entry", "fail")]),
        ({"ended": NOW - 48 * HOUR}, []),
        ({"ended": NOW - 50 * HOUR}, [("schedule.late", "fail")]),
        ({"exit_code": 1}, [("schedule.failed", "warn")]),
        ({"exit_code": 2, "task": "drift"}, []),
    ],
)
def test_a_planted_fault_is_found(spec_from, clean, change, expected):
    assert told(spec_from(), clean, replace(WELL, **change)) == expected


def test_a_run_that_ended_in_the_future_is_no_pass(spec_from, clean):
    """The clock was ahead when it ran: nothing says how long ago that was."""
    seen = replace(clean, taken_at=NOW, tasks=(replace(WELL, ended=NOW + HOUR),))
    report = run_drift(spec_from(), seen, only=["schedule"])
    (finding,) = report.findings
    assert (finding.check, finding.inconclusive) == ("schedule.late", True)
    assert report.exit_code == 3
