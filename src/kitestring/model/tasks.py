"""What a host's crontab and the newest runs of its scheduled tasks say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnitSeen:
    """A file that systemd reads for a task: the service, the timer, or a drop-in of either, of
    which nothing is `wanted`. Texts are without the interpreter; `found` is None without a file."""

    file: str
    wanted: str
    found: str | None


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """One scheduled task. Lines are without the interpreter; empty where there is none."""

    task: str
    wanted: str  # the line that the spec comes to
    line: str  # the crontab's
    every: float  # seconds between two runs
    ended: int | None = None  # ms since the epoch; None: it has never run by `scheduled`
    exit_code: int = 0
    log: str = ""
    units: tuple[UnitSeen, ...] = ()  # empty where this host has no unit of the task
