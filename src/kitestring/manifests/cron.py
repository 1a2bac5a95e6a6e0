"""Cron expressions from what a spec says: a time of day, or `at least every …`."""

from __future__ import annotations

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_SUNDAY = 0
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def daily(at: str, *, later: int = 0) -> str:
    """Every day at `HH:MM`, `later` minutes after it."""
    hour, minute = _moved(at, later)
    return f"{minute} {hour} * * *"


def weekly(weekday: str, at: str, *, later: int = 0) -> str:
    """Every week on a day (`monday`), at `HH:MM`, `later` minutes after it."""
    hour, minute = _moved(at, later)
    begun = f"{hour:02}:{minute:02}" < at and later > 0  # the next day has begun
    return f"{minute} {hour} * * {(_WEEKDAYS.index(weekday) + begun) % 7}"


def at_least_every(seconds: float, at: str, *, later: int = 0) -> str:
    """An expression whose runs are never further apart than `seconds`.

    Cron knows no intervals, only calendars: 5 h becomes every 4 h (which divides a day), 10 d
    becomes the 1st, 11th, 21st and 31st. The time of day is `at`, moved by `later` minutes.
    From 31 days on, it is the first of the month; under a minute, every minute.
    """
    hour, minute = _moved(at, later)
    if seconds < _HOUR:
        step = _divisor(60, int(seconds // _MINUTE))
        return "* * * * *" if step == 1 else f"*/{step} * * * *"
    if seconds < _DAY:
        step = _divisor(24, int(seconds // _HOUR))
        if step == 1:
            return f"{minute} * * * *"
        first = hour % step
        return f"{minute} {first}-23/{step} * * *" if first else f"{minute} */{step} * * *"
    days = int(seconds // _DAY)
    if days >= 31:
        return f"{minute} {hour} 1 * *"
    if days == 7:
        return f"{minute} {hour} * * {_SUNDAY}"
    return f"{minute} {hour} * * *" if days == 1 else f"{minute} {hour} */{days} * *"


def _moved(at: str, later: int) -> tuple[int, int]:
    hour, minute = (int(part) for part in at.split(":"))
    return divmod((hour * 60 + minute + later) % 1440, 60)


def _divisor(of: int, most: int) -> int:
    return max(n for n in range(1, max(most, 1) + 1) if of % n == 0)
