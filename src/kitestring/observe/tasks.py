"""The crontab of this user on this host, and what the newest runs of its tasks have left."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from kitestring.clients.cron import VERBS, cron_entry, read_crontab, record_of
from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.snapshot import Snapshot
from kitestring.model.tasks import TaskSeen
from kitestring.spec.loaded import LoadedSpec

_DAY, _WEEK = 86400.0, 604800.0


def probe_tasks(loaded: LoadedSpec, _: Milvus, snapshot: Snapshot) -> Snapshot:
    """Adds the tasks of the spec that this host has an entry or a record of; others are run
    elsewhere, or not at all."""
    crontab, _problem = read_crontab()
    seen = (_seen(loaded, task, crontab) for task in VERBS)
    return replace(snapshot, tasks=tuple(one for one in seen if one.line or one.ended is not None))


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
    )


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
