"""Cron expressions as calendar events, and that systemd reads them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from kitestring.manifests.calendar import on_calendar
from kitestring.manifests.cron import at_least_every, daily, weekly

HOUR, DAY = 3600.0, 86400.0
CASES = [
    (daily("01:30"), "*-*-* 01:30:00"),
    (weekly("wednesday", "05:10"), "Wed *-*-* 05:10:00"),
    (at_least_every(30.0, "00:00"), "*-*-* *:*:00"),
    (at_least_every(900.0, "00:00"), "*-*-* *:00/15:00"),
    (at_least_every(HOUR, "01:45"), "*-*-* *:45:00"),
    (at_least_every(6 * HOUR, "00:00"), "*-*-* 00/6:00:00"),
    (at_least_every(6 * HOUR, "01:30", later=45), "*-*-* 02..23/6:15:00"),
    (at_least_every(7 * DAY, "03:30"), "Sun *-*-* 03:30:00"),
    (at_least_every(10 * DAY, "03:30"), "*-*-01/10 03:30:00"),
    (at_least_every(40 * DAY, "03:30"), "*-*-01 03:30:00"),
    ("0,30 8-17 * 1,7 *", "*-01,07-* 08..17:00,30:00"),
    ("5 4 * * 1-5", "Mon,Tue,Wed,Thu,Fri *-*-* 04:05:00"),
    ("5 4 * * 7", "Sun *-*-* 04:05:00"),
]


@pytest.mark.parametrize(("expression", "event"), CASES)
def test_the_same_times(expression: str, event: str) -> None:
    assert on_calendar(expression) == event


@pytest.mark.parametrize(
    "expression",
    ["* * * *", "0 0 1 * 1", "60 * * * *", "0 24 * * *", "* * 0 * *", "*/0 * * * *", "5/2 * * * *",
     "9-3 * * * *", "x * * * *", "0 0 * * */2", "0 0 * * mon"],
)  # fmt: skip
def test_what_has_no_event(expression: str) -> None:
    with pytest.raises(ValueError, match="`"):
        on_calendar(expression)


def test_systemd_reads_them() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    events = sorted({event for _, event in CASES})
    done = subprocess.run(
        [analyze, "calendar", *events], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Normalized form:") == len(events)
