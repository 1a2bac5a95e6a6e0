"""`day2`: schedules that contradict each other, or an objective that they can't keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.spec.plain import mapping, text
from kitestring.spec.problems import Problem
from kitestring.spec.types import format_duration, parse_duration
from kitestring.spec.window import within

_MINUTE, _DAY, _WEEK = 60.0, 86400.0, 604800.0
_NIGHT = "02:00"  # the default of `day2.compaction.at`


def check_schedule(data: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of `day2.backup` and `day2.drill` beside `objectives`."""
    day2, objectives = mapping(data.get("day2")), mapping(data.get("objectives"))
    backup, drill = mapping(day2.get("backup")), mapping(day2.get("drill"))
    if drill.get("target") == "kubernetes" and data.get("deployment") is None:
        yield Problem(
            ("day2", "drill", "target"),
            "nothing says what the drill's server on Kubernetes would be: add `deployment`",
            got="kubernetes",
        )
    for task in ("backup", "drift"):
        often = _seconds(mapping(day2.get(task)).get("every"))
        if often is not None and often < _MINUTE:
            got = mapping(day2[task])["every"]
            yield Problem(("day2", task, "every"), "no schedule is shorter than 1m", got, "from 1m")
    every = _seconds(backup.get("every"))
    if backup.get("at") is not None and backup.get("every") is not None:
        yield Problem(
            ("day2", "backup", "every"),
            "`at` (once a day) and `every` are both there: keep one of them",
        )
        return
    if data.get("backup") is None or not objectives:
        return
    gap, rpo = every or _DAY, _seconds(objectives.get("rpo"))
    if rpo is not None and gap > rpo:
        made = format_duration(gap) if every else "day"
        yield Problem(
            ("objectives", "rpo"),
            f"a backup every {made} can't keep it: just before the next one, the newest is older. "
            f"Make them more often by `day2.backup.every`, in less than {format_duration(rpo)}",
            got=objectives.get("rpo"),
        )
    drills = _seconds(objectives.get("drill_every"))
    if drill.get("weekday") is not None and drills is not None and drills < _WEEK:
        yield Problem(
            ("objectives", "drill_every"),
            "a drill on one weekday can't keep it: leave `day2.drill.weekday` out",
            got=objectives.get("drill_every"),
        )


def check_window(data: Mapping[str, Any]) -> Iterator[Problem]:
    """A schedule of compactions that would always begin outside of its own window."""
    policy = mapping(mapping(data.get("day2")).get("compaction"))
    at = text(policy.get("at")) or _NIGHT
    try:
        outside = "window" in policy and not within(text(policy["window"]), at)
    except ValueError:
        return  # the models say so
    if outside:
        yield Problem(
            ("day2", "compaction", "window"),
            f"the schedule looks at {at} (`day2.compaction.at`), which is outside of it: nothing "
            "would ever be compacted",
            got=policy["window"],
        )


def _seconds(value: Any) -> float | None:
    """A duration in seconds; None where it is none (the models say so)."""
    try:
        return parse_duration(text(value)) or None
    except ValueError:
        return None
