"""What the day-2 jobs run, and when: one table for the manifests, the chart and their tests."""

from __future__ import annotations

from dataclasses import dataclass

from kitestring.manifests.cron import at_least_every, daily, weekly
from kitestring.spec.deployment import JobName, Resources
from kitestring.spec.models import Spec

TIME_ZONE = "Etc/UTC"
WEEK = 604800.0
_AFTER = 120  # minutes from a backup to the drill of it
_FULL_HOUR = "00:00"
# drift, inconclusive, wrong usage: another try would say the same
VERDICTS = (2, 3, 64)
_LIGHT, _HEAVY = Resources(cpu="250m", memory="1Gi"), Resources(cpu="1", memory="4Gi")


@dataclass(frozen=True, slots=True)
class Job:
    """What one CronJob runs. Times in seconds."""

    name: JobName
    arguments: tuple[str, ...]  # of `kitestring`, without `--spec`
    deadline: int  # a run is ended after it
    late: int  # a run that could not begin within it is left out
    retries: int = 1  # after an error, not after a verdict
    resources: Resources = _LIGHT
    scratch: str = "2Gi"  # of /tmp


JOBS: tuple[Job, ...] = (
    Job("backup", ("backup", "run"), deadline=14400, late=3600, retries=2),
    Job("compaction", ("compact", "--output", "json"), deadline=14400, late=3600),
    Job("embedding", ("embedding", "check", "--output", "json"), deadline=7200, late=3600),
    Job("drift", ("drift", "--output", "json"), deadline=7200, late=1800),
    Job(
        "drill",
        ("drill", "run", "--output", "json"),
        deadline=14400,
        late=7200,
        retries=0,
        resources=_HEAVY,
        scratch="20Gi",
    ),
)


def backup_times(spec: Spec) -> str:
    """When backups are made, as a cron expression."""
    backup = spec.day2.backup
    return daily(backup.start) if backup.every is None else at_least_every(backup.every, _FULL_HOUR)


def drill_times(spec: Spec) -> str:
    """When restores are drilled: as often as `objectives.drill_every`, two hours after the time of
    day of backups unless the spec says when."""
    drill, base = spec.day2.drill, spec.day2.backup.start
    if drill.weekday is not None:
        return weekly(drill.weekday, drill.at or base, later=0 if drill.at else _AFTER)
    every = spec.objectives.drill_every if spec.objectives is not None else WEEK
    return at_least_every(every, drill.at or base, later=0 if drill.at else _AFTER)


def drift_times(spec: Spec) -> str:
    """How often drift is looked for, as a cron expression."""
    return at_least_every(spec.day2.drift.every, spec.day2.backup.start, later=45)


def schedules(spec: Spec) -> dict[str, str]:
    """Job -> cron expression (UTC), for the jobs that have something to do."""
    day2 = spec.day2
    found = {"compaction": daily(day2.compaction.at)}
    if spec.backup is not None:
        found["backup"] = backup_times(spec)
        found["drill"] = drill_times(spec)
    if any(c.model is not None for c in spec.collections):
        found["embedding"] = daily(day2.embedding.at)
    found["drift"] = drift_times(spec)
    return {job.name: found[job.name] for job in JOBS if job.name in found}


def scheduled(spec: Spec) -> list[tuple[Job, str]]:
    """The jobs that have something to do, each with its cron expression."""
    when = schedules(spec)
    return [(job, when[job.name]) for job in JOBS if job.name in when]
