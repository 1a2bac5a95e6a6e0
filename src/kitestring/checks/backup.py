"""The backup blindspot: backups that are not there, too old, or never proven."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import BACKUPS_THERE, check, command
from kitestring.model.backup import AHEAD, BackupSummary
from kitestring.model.drill import DrillSummary
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.types import format_duration


def no_backup(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """No backup of this cluster, none wanted, or a catalog that cannot be read."""
    cluster = loaded.spec.cluster.name
    if loaded.spec.backup is None:
        yield Finding(
            BACKUPS_THERE,
            Severity.WARN,
            f"{cluster}/backup",
            "the spec names no place for backups: none are made or checked",
            expected="`backup` in the spec",
            observed="none",
            hint="write `backup` with a store, and `objectives`",
            location=loaded.locate("backup"),
        )
    elif snapshot.backups is None:
        yield Finding(
            BACKUPS_THERE,
            Severity.WARN,
            f"{cluster}/backup",
            f"the catalog cannot be read: {snapshot.backups_error or 'no reason was given'}",
            expected="a catalog that can be read",
            observed="unknown",
            hint="check `backup.store` in the spec and the credentials that it names",
            location=loaded.locate("backup", "store"),
            inconclusive=True,
        )
    elif not _readable(loaded, snapshot):
        yield Finding(
            BACKUPS_THERE,
            Severity.FAIL,
            f"{cluster}/backup",
            "there is no backup of this cluster",
            expected="at least one backup",
            observed="none",
            hint=command(loaded, "backup create"),
            location=loaded.locate("backup"),
        )


def unreadable(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Backups whose manifest cannot be read."""
    for backup in snapshot.backups or ():
        if not backup.readable:
            yield Finding(
                "backup.unreadable",
                Severity.FAIL,
                f"{loaded.spec.cluster.name}/backup/{backup.id}",
                f"the backup `{backup.id}` cannot be read: {backup.problem or 'no reason given'}",
                expected="a manifest that can be read",
                observed=backup.problem or "unreadable",
                hint="make a new one: " + command(loaded, "backup create"),
                location=loaded.locate("backup", "store"),
            )


def too_old(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """The newest proven backup is older than the RPO; the newest of all where none is proven."""
    objectives, backups = loaded.spec.objectives, _readable(loaded, snapshot)
    if not backups:
        return
    subject = f"{loaded.spec.cluster.name}/backup"
    if objectives is None:
        yield Finding(
            "backup.too-old",
            Severity.INFO,
            subject,
            "the spec states no objectives: the age of backups is held to nothing",
            expected="`objectives` in the spec",
            observed="none",
            hint="write `objectives` with `rpo` and `rto`",
            location=loaded.locate("objectives"),
        )
        return
    newest = next((b for b in backups if _proven(b, snapshot)), backups[0])
    age = (snapshot.taken_at - newest.boundary) / 1000
    location = loaded.locate("objectives", "rpo")
    rpo = format_duration(objectives.rpo)
    if age * 1000 < -AHEAD:
        yield Finding(
            "backup.too-old",
            Severity.WARN,
            subject,
            f"the backup `{newest.id}` is {_age(-age)} in the future: its age cannot be told",
            expected=f"at most {rpo} old",
            observed="a boundary in the future",
            hint="set the clocks of the hosts that observe and back up",
            location=location,
            inconclusive=True,
        )
    elif age > objectives.rpo:
        yield Finding(
            "backup.too-old",
            Severity.FAIL,
            subject,
            f"every write of the last {_age(age)} would be lost: the newest "
            f"{'verified ' if _proven(newest, snapshot) else ''}backup is `{newest.id}`",
            expected=f"at most {rpo} old",
            observed=f"{_age(age)} old",
            hint=command(loaded, "backup create"),
            location=location,
        )


def unverified(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """The newest backup was neither verified nor drilled."""
    for newest in _readable(loaded, snapshot)[:1]:
        if not _proven(newest, snapshot):
            yield Finding(
                "backup.unverified",
                Severity.WARN,
                f"{loaded.spec.cluster.name}/backup",
                f"the newest backup `{newest.id}` was never verified",
                expected="verified or drilled",
                observed="neither",
                hint=command(loaded, "backup verify", newest.id),
                location=loaded.locate("backup"),
            )


def not_drilled(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """No passed drill within `drill_every`, or the newest drill failed."""
    objectives = loaded.spec.objectives
    if objectives is None or not _readable(loaded, snapshot):
        return
    drills = _newest_first(snapshot)
    passed = next((d for d in drills if d.proves), None)
    wanted = f"a passed drill every {format_duration(objectives.drill_every)}"
    if drills and not drills[0].passed:
        message = f"the newest drill `{drills[0].id}` did not pass"
        observed = f"failed {_age((snapshot.taken_at - drills[0].started_at) / 1000)} ago"
    elif passed is None:
        message, observed = "no backup was ever restored in a drill that passed", "none"
    else:
        age = (snapshot.taken_at - passed.started_at) / 1000
        if age * 1000 < -AHEAD:
            yield Finding(
                "backup.not-drilled",
                Severity.WARN,
                f"{loaded.spec.cluster.name}/backup",
                f"the drill `{passed.id}` is {_age(-age)} in the future: its age cannot be told",
                expected=wanted,
                observed="a drill in the future",
                hint="set the clocks of the hosts that observe and drill",
                location=loaded.locate("objectives", "drill_every"),
                inconclusive=True,
            )
            return
        if age <= objectives.drill_every:
            return
        message = f"the newest passed drill is `{passed.id}`"
        observed = f"{_age(age)} ago"
    yield Finding(
        "backup.not-drilled",
        Severity.FAIL,
        f"{loaded.spec.cluster.name}/backup",
        message,
        expected=wanted,
        observed=observed,
        hint=command(loaded, "drill run"),
        location=loaded.locate("objectives", "drill_every"),
    )


def coverage(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A collection of the spec that the newest backup does not hold."""
    for newest in _readable(loaded, snapshot)[:1]:
        for position, collection in enumerate(loaded.spec.collections):
            there = collection.name in snapshot.collections
            if there and collection.name not in newest.collections:
                yield Finding(
                    "backup.coverage",
                    Severity.FAIL,
                    f"{loaded.spec.cluster.name}/{collection.name}",
                    f"the newest backup `{newest.id}` does not hold it",
                    expected="in the newest backup",
                    observed="not in it",
                    hint=command(loaded, "backup create"),
                    location=loaded.locate("collections", position),
                )


def _readable(loaded: LoadedSpec, snapshot: Snapshot) -> list[BackupSummary]:
    """The readable backups of this cluster, the newest first."""
    if loaded.spec.backup is None:
        return []
    mine = [
        b for b in snapshot.backups or () if b.readable and b.cluster == loaded.spec.cluster.name
    ]
    return sorted(mine, key=lambda b: (b.boundary, b.id), reverse=True)


def _proven(backup: BackupSummary, snapshot: Snapshot) -> bool:
    drilled = any(d.backup == backup.id and d.proves for d in snapshot.drills)
    return backup.verified_at is not None or drilled


def _newest_first(snapshot: Snapshot) -> list[DrillSummary]:
    return sorted(snapshot.drills, key=lambda d: (d.started_at, d.id), reverse=True)


def _age(seconds: float) -> str:
    """An age for people: `12s`, `5m`, `30h`, `9d`."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("m", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


CHECKS = (
    check(
        BACKUPS_THERE,
        "There is a backup",
        no_backup,
        meaning="Nothing could be restored. A spec without `backup` is a warning, a catalog "
        "that cannot be read is inconclusive.",
        cause="Backups were never made, go elsewhere, or their store is away.",
        mend="`kitestring backup create`.",
    ),
    check(
        "backup.unreadable",
        "Every backup of the catalog can be read",
        unreadable,
        meaning="A backup stands in the catalog and its manifest is cut short, changed or gone.",
        cause="The store lost or changed an object, or somebody edited it.",
        mend="Make a new backup; look into the store's history of that object.",
        requires=(BACKUPS_THERE,),
    ),
    check(
        "backup.too-old",
        "The newest verified backup is within the RPO",
        too_old,
        meaning="More writes would be lost than `objectives.rpo` allows. The newest backup that "
        "was verified or drilled counts; the newest of all where none was.",
        cause="The schedule does not run, or its backups fail.",
        mend="`kitestring backup create`, and look at the schedule.",
        requires=(BACKUPS_THERE,),
    ),
    check(
        "backup.unverified",
        "The newest backup was verified",
        unverified,
        severity=Severity.WARN,
        meaning="Nobody knows whether the objects of the newest backup are whole.",
        cause="Verification does not run after the backup.",
        mend="`kitestring backup verify`, or a drill.",
        requires=(BACKUPS_THERE,),
    ),
    check(
        "backup.not-drilled",
        "A restore drill passed lately",
        not_drilled,
        meaning="The newest drill did not pass, or none has within `objectives.drill_every`. A "
        "backup that was never restored is a hope.",
        cause="Drills are not scheduled, or missed an objective.",
        mend="`kitestring drill run`.",
        requires=(BACKUPS_THERE,),
    ),
    check(
        "backup.coverage",
        "The newest backup holds every collection of the spec",
        coverage,
        meaning="A collection would not come back.",
        cause="It was made after the backup, or was left out of it.",
        mend="`kitestring backup create`.",
        requires=(BACKUPS_THERE,),
    ),
)
