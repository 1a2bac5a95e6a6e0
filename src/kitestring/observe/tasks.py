"""Crontab and systemd units of this user on this host, and what the newest runs have left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kitestring.clients.cron import VERBS, cron_entry, read_crontab, record_of
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.systemd import timer_of
from kitestring.model.snapshot import Snapshot
from kitestring.model.tasks import TaskSeen, UnitSeen
from kitestring.spec.loaded import LoadedSpec

_DAY, _WEEK = 86400.0, 604800.0
_INTERPRETER = re.compile(r'^(ExecStart=)(?:"(?:\\.|[^"\\])*"|\S+) (?=-m kitestring )', re.M)


def probe_tasks(loaded: LoadedSpec, _: Milvus, snapshot: Snapshot) -> Snapshot:
    """Adds the tasks of the spec that this host has an entry, a unit or a record of; others are
    run elsewhere, or not at all."""
    crontab, _problem = read_crontab()
    seen = (_seen(loaded, task, crontab) for task in VERBS)
    there = (one for one in seen if one.line or one.units or one.ended is not None)
    return replace(snapshot, tasks=tuple(there))


def _seen(loaded: LoadedSpec, task: str, crontab: str) -> TaskSeen:
    entry = cron_entry(loaded, task)
    record = _record(loaded, task)
    return TaskSeen(
        task,
        _bare(entry.line),
        _bare(entry.found_in(crontab)),
        _every(loaded, task),
        ended=int(record["started"] + 1000 * record["seconds"]) if record else None,
        exit_code=int(record.get("exit_code", 0)),
        log=str(record.get("log", "")),
        units=tuple(_units(loaded, task)),
    )


def _units(loaded: LoadedSpec, task: str) -> Iterator[UnitSeen]:
    """The unit files of a task and what `systemctl edit` lays beside them; nothing where none of
    them is there."""
    timer = timer_of(loaded, task)
    files = list(zip(timer.files, (timer.service, timer.timer), strict=True))
    beside = [one for file, _ in files for one in sorted(Path(f"{file}.d").glob("*.conf"))]
    if not beside and not any(file.is_symlink() or file.exists() for file, _ in files):
        return
    for file, text in (*files, *((one, "") for one in beside)):
        yield UnitSeen(str(file), _started(text), _read(file))


def _read(file: Path) -> str | None:
    try:
        return _started(file.read_text("utf-8", "replace"))
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"# can't be read: {error.strerror}"


def _started(unit: str) -> str:
    """A unit without the interpreter that its `ExecStart=` names."""
    return _INTERPRETER.sub(r"\1", unit)


def _bare(line: str) -> str:
    """A line without its interpreter: whoever looks may use another one."""
    parts = line.split(" ", 6)
    return " ".join((*parts[:5], *parts[6:]))


def _record(loaded: LoadedSpec, task: str) -> dict[str, Any]:
    """Empty where there is none that can be read."""
    try:
        found = json.loads(record_of(loaded, task).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and {"started", "seconds"} <= set(found) else {}


def _every(loaded: LoadedSpec, task: str) -> float:
    day2, objectives = loaded.spec.day2, loaded.spec.objectives
    return {
        "backup": day2.backup.gap,
        "drill": objectives.drill_every if objectives else _WEEK,
        "drift": day2.drift.every,
    }.get(task, _DAY)
