"""When cron runs what, and whether cron would."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from kitestring.manifests.cron import daily
from kitestring.manifests.day2 import backup_times, drift_times, drill_times
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import Spec

VERBS = {
    "compaction": ("compact",),
    "backup": ("backup", "run"),
    "drill": ("drill", "run"),
    "embedding": ("embedding", "check"),
    "drift": ("drift",),
}
LOG_BYTES = 1 << 20  # a larger log is set aside before the next run
LOGS_KEPT = 5  # of those that were set aside
TIMES: dict[str, Callable[[Spec], str]] = {
    "compaction": lambda spec: daily(spec.day2.compaction.at),
    "backup": backup_times,
    "drill": drill_times,
    "embedding": lambda spec: daily(spec.day2.embedding.at),
    "drift": drift_times,
}
DAEMONS = frozenset({"cron", "crond", "fcron", "busybox-crond", "dcron"})
_PROBE_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class CronEntry:
    """One line of a crontab; `name` is its mark, by which it is found again."""

    name: str
    minute: str
    hour: str
    job: str
    log: str
    day: str = "*"
    month: str = "*"
    weekday: str = "*"

    @property
    def line(self) -> str:
        when = (self.minute, self.hour, self.day, self.month, self.weekday)
        return f"{' '.join(when)} {self.job}"

    def found_in(self, crontab: str) -> str:
        """The line that a crontab has under this name, as Ansible marks it; empty for none."""
        lines = crontab.splitlines()
        mark = f"#Ansible: {self.name}"
        return next((line for above, line in pairwise(lines) if above == mark), "")

    def as_dict(self) -> dict[str, str]:
        return {
            "name": self.name,
            "minute": self.minute,
            "hour": self.hour,
            "day": self.day,
            "month": self.month,
            "weekday": self.weekday,
            "job": self.job,
            "log": self.log,
            "line": self.line,
        }


@dataclass(frozen=True, slots=True)
class CronHost:
    """Whether this user may write a crontab on this host, and whether anything would run it."""

    usable: bool
    daemon: bool
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"usable": self.usable, "daemon": self.daemon, "reason": self.reason}


def cron_entry(loaded: LoadedSpec, task: str, python: str = "") -> CronEntry:
    """The entry of one of `VERBS`, at the time that the spec says.

    The line names everything by its absolute path, because cron's environment is bare. What it
    runs keeps the log, and does not run twice at once (`kitestring.enforce.scheduled`).

    Args:
        python: the interpreter that has kitestring; this one by default.
    """
    minute, hour, day, month, weekday = TIMES[task](loaded.spec).split()
    job = shlex.join(command_of(loaded, task, python))
    return CronEntry(
        name=f"kitestring {task} of {loaded.spec.cluster.name} ({loaded.file.resolve()})",
        minute=minute,
        hour=hour,
        job=job.replace("%", r"\%"),  # cron takes a bare one for the end of the line
        log=str(log_of(loaded, task)),
        day=day,
        month=month,
        weekday=weekday,
    )


def command_of(loaded: LoadedSpec, task: str, python: str = "") -> list[str]:
    """What a schedule runs for a task, everything by its absolute path."""
    spec = str(loaded.file.resolve())
    return [python or sys.executable, "-m", "kitestring", "scheduled", task, "--spec", spec]


def record_of(loaded: LoadedSpec, task: str) -> Path:
    """The record of the newest run of a scheduled task."""
    return loaded.state_dir / "schedules" / f"{task}.json"


def log_of(loaded: LoadedSpec, task: str) -> Path:
    """The log of a scheduled task; `.1` and so on are those before it."""
    return loaded.state_dir / "logs" / task / f"{task}.log"


def secrets_of_environment(loaded: LoadedSpec) -> tuple[str, ...]:
    """The variables that the spec takes secrets from: cron does not have them."""
    return tuple(sorted(set(_variables(loaded.spec.model_dump()))))


def _variables(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if set(value) == {"env", "file"} and value["env"]:
            yield value["env"]
        for part in value.values():
            yield from _variables(part)
    elif isinstance(value, list):
        for part in value:
            yield from _variables(part)


def read_crontab() -> tuple[str, str]:
    """The crontab of this user, and why it could not be read."""
    crontab = shutil.which("crontab")
    if crontab is None:
        return "", "this host has no `crontab`"
    try:
        answer = subprocess.run(
            [crontab, "-l"], capture_output=True, text=True, timeout=_PROBE_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"`crontab -l` failed: {error}"
    # without entries it ends with 1 and says "no crontab for USER"
    if answer.returncode and "no crontab" not in answer.stderr.lower():
        why = answer.stderr.strip().splitlines()
        return "", why[0] if why else "`crontab -l` failed"
    return answer.stdout if not answer.returncode else "", ""


def probe_cron(proc: Path = Path("/proc")) -> CronHost:
    """Looks at this host; changes nothing."""
    _, problem = read_crontab()
    if problem:
        return CronHost(False, False, problem)
    if not _daemon_runs(proc):
        return CronHost(True, False, "no cron daemon runs on this host")
    return CronHost(True, True)


def _daemon_runs(proc: Path) -> bool:
    for comm in proc.glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip() in DAEMONS:
                return True
        except OSError:
            continue  # it ended meanwhile
    return False
