"""Scheduled tasks of this host: that they run, end well, and when the spec says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from kitestring.checks.base import check
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.instant import utc
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

_SLACK = 3600.0  # seconds; a run may take that long
_CLOCK_SLACK = 60.0  # seconds that a clock may be set back by without a word
_LESS = {False: "nothing", True: "fewer lines, or in another order"}


def cron_entry(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A crontab whose line is not that of the spec."""
    for seen in snapshot.tasks or ():
        if seen.line and seen.line != seen.wanted:
            yield Finding(
                "schedule.cron-entry",
                Severity.FAIL,
                f"{loaded.spec.cluster.name}/task/{seen.task}",
                f"the crontab's line of the {seen.task} is not what the spec comes to",
                expected=seen.wanted,
                observed=seen.line,
                hint="`ansible-playbook playbooks/day2.yml` writes it again",
                location=loaded.locate("day2"),
            )


def timer(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Systemd units that are not those of the spec, and drop-ins that change them."""
    for seen in snapshot.tasks or ():
        for unit in seen.units:
            wanted, there = _settings(unit.wanted), _settings(unit.found or "")
            if unit.found is not None and wanted == there:
                continue
            told = {
                None: "a systemd unit of the {} is not there, and the other one is",
                True: "a systemd unit of the {} is not what the spec comes to",
                False: "a drop-in changes a systemd unit of the {}",
            }[None if unit.found is None else bool(unit.wanted)]
            yield Finding(
                "schedule.timer",
                Severity.FAIL,
                f"{loaded.spec.cluster.name}/task/{seen.task}/{PurePath(unit.file).name}",
                told.format(seen.task),
                expected=_only(wanted, there) or "none",
                observed=_only(there, wanted)
                or ("no file" if unit.found is None else _LESS[bool(there)]),
                hint=f"{unit.file}: "
                + (
                    "`ansible-playbook playbooks/day2.yml` writes it again"
                    if unit.wanted
                    else "remove it, or say it in the spec"
                ),
                location=loaded.locate("day2"),
            )


def _settings(unit: str) -> list[str]:
    """The lines that mean something: comments begin with # or ; (systemd.syntax(7))."""
    lines = (line.strip() for line in unit.splitlines())
    return [line for line in lines if line and line[0] not in "#;"]


def _only(lines: list[str], others: list[str]) -> str:
    return ", ".join(line for line in lines if line not in others)


def late(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A task that has run and does so no more."""
    for seen in snapshot.tasks or ():
        if seen.ended is None:
            continue
        age = (snapshot.taken_at - seen.ended) / 1000
        if age < -_CLOCK_SLACK:
            yield Finding(
                "schedule.late",
                Severity.WARN,
                f"{loaded.spec.cluster.name}/task/{seen.task}",
                f"the newest run of the {seen.task} ended in the future: a clock was or is wrong",
                expected="a run that has ended",
                observed=utc(seen.ended),
                hint="set the clock of this host; the next run that ends tells again",
                location=loaded.locate("day2"),
                inconclusive=True,
            )
        elif age > 2 * seen.every + _SLACK:
            yield Finding(
                "schedule.late",
                Severity.FAIL,
                f"{loaded.spec.cluster.name}/task/{seen.task}",
                f"the {seen.task} has not run for {age / 3600:.0f} h",
                expected=f"a run every {seen.every / 3600:g} h",
                observed=utc(seen.ended),
                hint="look whether cron or systemd runs on this host and the entry is there: "
                "`ansible-playbook playbooks/day2.yml` tells",
                location=loaded.locate("day2"),
            )


def failed(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A task whose newest run did not end well. Not of drift: it would find itself again."""
    for seen in snapshot.tasks or ():
        if seen.exit_code and seen.task != "drift":
            yield Finding(
                "schedule.failed",
                Severity.WARN,
                f"{loaded.spec.cluster.name}/task/{seen.task}",
                f"the newest run of the {seen.task} ended with exit code {seen.exit_code}",
                expected="0",
                observed=str(seen.exit_code),
                hint=f"its log: {seen.log}",
                location=loaded.locate("day2"),
            )


CHECKS = (
    check(
        "schedule.cron-entry",
        "The crontab has the lines that the spec comes to",
        cron_entry,
        meaning="An entry of this spec in the crontab of this user has another time or command. "
        "Hosts without an entry are not looked at: their tasks run elsewhere.",
        cause="Somebody edited the crontab, or the spec was changed and the play not run since.",
        mend="Run the playbook `day2.yml` (or `drift.yml`): it writes the entry again.",
        evidence=Evidence.TASKS,
    ),
    check(
        "schedule.timer",
        "Systemd units have what the spec comes to",
        timer,
        meaning="The service or the timer of a scheduled task is not what the spec comes to: "
        "another time or command, a file that is gone, a mask, or a drop-in that `systemctl edit` "
        "has made. The files are read in `day2.units` of the spec, or where systemd has the units "
        "of this user; systemd is not asked. Hosts without a unit are not looked at.",
        cause="Somebody edited a unit, or the spec was changed and the play not run since.",
        mend="Remove drop-ins, and run the playbook `day2.yml` (or `drift.yml`): it writes the "
        "units again.",
        evidence=Evidence.TASKS,
    ),
    check(
        "schedule.late",
        "Scheduled tasks have run lately",
        late,
        meaning="A task that `kitestring scheduled` ran on this host has not run for more than "
        "twice its interval: no backups are made, no drift is looked for. Inconclusive where the "
        "newest run ended in the future: a clock has jumped.",
        cause="The cron daemon or the timer is stopped, the entry was taken away, or the host was "
        "off.",
        mend="See that cron runs, and run the playbook `day2.yml`. Where another host has taken "
        "the schedule over, remove `schedules` from the spec's `state` here.",
        evidence=Evidence.TASKS,
    ),
    check(
        "schedule.failed",
        "The newest run of every scheduled task ended well",
        failed,
        severity=Severity.WARN,
        meaning="The newest run of a scheduled task on this host ended with another exit code "
        "than 0. Of the drift detection itself this is not told: its findings are.",
        cause="What its log says.",
        mend="Read the log that the finding names; the next run that ends well clears it.",
        evidence=Evidence.TASKS,
    ),
)
