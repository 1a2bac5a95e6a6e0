"""Schedules: never further apart than asked, and at the time of day that the spec says."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.manifests.cron import at_least_every, daily, weekly

START = datetime(2027, 1, 1)  # noqa: DTZ001 - cron's calendar has no zone here


def _field(text: str, low: int, high: int) -> set[int]:
    span, _, step = text.partition("/")
    first, last = (low, high) if span == "*" else (int(p) for p in (span.split("-") * 2)[:2])
    return set(range(first, last + 1, int(step or 1)))


def runs(expression: str, days: int) -> list[datetime]:
    """When cron would run it, by the meaning of the five fields."""
    minute, hour, day, month, weekday = expression.split()
    times = [(h, m) for h in sorted(_field(hour, 0, 23)) for m in sorted(_field(minute, 0, 59))]
    found = []
    for offset in range(days):
        date = START + timedelta(days=offset)
        if (
            date.day in _field(day, 1, 31)
            and date.month in _field(month, 1, 12)
            and (date.isoweekday() % 7) in _field(weekday, 0, 6)
        ):
            found += [date.replace(hour=h, minute=m) for h, m in times]
    return found


@pytest.mark.parametrize(
    ("seconds", "expression"),
    [
        (7 * 86400, "30 1 * * 0"),
        (86400, "30 1 * * *"),
        (36 * 3600, "30 1 * * *"),
        (3 * 86400, "30 1 */3 * *"),
        (6 * 3600, "30 1-23/6 * * *"),
        (5 * 3600, "30 1-23/4 * * *"),
        (3600, "30 * * * *"),
        (20 * 60, "*/20 * * * *"),
        (7 * 60, "*/6 * * * *"),
        (30, "* * * * *"),
        (90 * 86400, "30 1 1 * *"),
    ],
)
def test_an_interval_becomes_a_calendar(seconds: float, expression: str) -> None:
    assert at_least_every(seconds, "01:30") == expression


@settings(max_examples=150)
@given(
    minutes=st.integers(1, 60 * 24 * 45),
    at=st.times().map(lambda t: f"{t.hour:02}:{t.minute:02}"),
    later=st.integers(0, 1440),
)
def test_runs_are_never_further_apart_than_asked(minutes: int, at: str, later: int) -> None:
    found = runs(at_least_every(minutes * 60.0, at, later=later), 130 if minutes >= 1440 else 4)
    gaps = [after - before for before, after in pairwise(found)]
    assert max(gaps) <= max(timedelta(minutes=minutes), timedelta(minutes=1))


def test_daily_moves_over_midnight() -> None:
    assert daily("23:30", later=45) == "15 0 * * *"
    assert daily("01:05") == "5 1 * * *"


def test_a_weekday_moves_over_midnight() -> None:
    assert weekly("monday", "03:30") == "30 3 * * 1"
    assert weekly("sunday", "01:30", later=120) == "30 3 * * 0"
    assert weekly("saturday", "23:30", later=120) == "30 1 * * 0"
