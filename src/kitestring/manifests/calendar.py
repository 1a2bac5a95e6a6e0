"""Cron expressions as systemd's calendar events (systemd.time(7), `OnCalendar=`). Pure."""

from __future__ import annotations

import re

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?")


def on_calendar(expression: str) -> str:
    """The calendar event that elapses when cron would run an expression of five fields.

    Cron counts `*/10` from the first value of a field: minutes and hours from 0, days and months
    from 1. Where both a day and a weekday are named, cron takes either and systemd both: such an
    expression has no calendar event.

    Raises:
        ValueError: it is no such expression, or cron alone can tell it.
    """
    fields = expression.split()
    if len(fields) != 5:
        raise ValueError(f"`{expression}` has not the five fields of a cron expression")
    minute, hour, day, month, weekday = fields
    if day != "*" and weekday != "*":
        raise ValueError(f"`{expression}` names days and weekdays: systemd would want both")
    days = "" if weekday == "*" else f"{_weekdays(weekday)} "
    date = f"*-{_values(month, 1, 12)}-{_values(day, 1, 31)}"
    return f"{days}{date} {_values(hour, 0, 23)}:{_values(minute, 0, 59)}:00"


def _values(field: str, first: int, last: int) -> str:
    return ",".join(_value(part, first, last) for part in field.split(","))


def _value(part: str, first: int, last: int) -> str:
    begin, end, step = _parsed(part, first, last)
    if begin is None:
        return "*" if step is None else f"{first:02}/{step}"
    text = f"{begin:02}" if end is None else f"{begin:02}..{end:02}"
    return text if step is None else f"{text}/{step}"


def _weekdays(field: str) -> str:
    names = []
    for part in field.split(","):
        begin, end, step = _parsed(part, 0, 7)
        if begin is None or step is not None:
            raise ValueError(f"`{part}` is no weekday that systemd knows")
        names += [_DAYS[day] for day in range(begin, (begin if end is None else end) + 1)]
    return ",".join(dict.fromkeys(names))


def _parsed(part: str, first: int, last: int) -> tuple[int | None, int | None, int | None]:
    found = _PART.fullmatch(part)
    begin, end, step = (
        (None if n is None else int(n) for n in found.groups()) if found else (0,) * 3
    )
    sane = found is not None and step != 0 and (step is None or begin is None or end is not None)
    ends = [n for n in (begin, end) if n is not None]
    if not sane or any(not first <= n <= last for n in ends) or ends != sorted(ends):
        raise ValueError(f"`{part}` is no part of a cron expression")
    return begin, end, step
