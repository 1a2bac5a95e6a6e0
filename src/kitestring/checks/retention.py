"""Backups that should have gone, or that nothing ever removes."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import BACKUPS_THERE, check, command
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

_MANY = 30  # backups, from which on keeping all of them is worth a word
_NAMED = 5


def retention(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """No retention while backups pile up, or backups that a prune should have removed."""
    backup = loaded.spec.backup
    if backup is None or snapshot.backups is None:
        return
    subject = f"{loaded.spec.cluster.name}/backup"
    mine = [s for s in snapshot.backups if s.readable and s.cluster == loaded.spec.cluster.name]
    if backup.retention is None:
        if len(mine) > _MANY:
            yield Finding(
                "backup.retention",
                Severity.INFO,
                subject,
                f"nothing says how long backups are kept: there are {len(mine):,}, and none is "
                "ever removed",
                expected="`backup.retention` in the spec",
                observed="none",
                hint="write `backup.retention`, such as `{daily: 14, weekly: 8}`",
                location=loaded.locate("backup"),
            )
    elif snapshot.backups_overdue:
        late = snapshot.backups_overdue
        named = ", ".join(late[:_NAMED]) + (", …" if len(late) > _NAMED else "")
        yield Finding(
            "backup.retention",
            Severity.WARN,
            subject,
            f"no rule keeps {len(late)} of the backups, and their grace period is over: {named}",
            expected="removed",
            observed=f"{len(late)} still there",
            hint=command(loaded, "backup prune"),
            location=loaded.locate("backup", "retention"),
        )


CHECKS = (
    check(
        "backup.retention",
        "Backups go when the retention says so",
        retention,
        severity=Severity.WARN,
        meaning="Backups that no rule of `backup.retention` keeps are still there two days after "
        "their grace period, and cost what they take. Without a retention nothing is ever removed, "
        "which is told (as an info) once there are more than 30 backups.",
        cause="No schedule prunes (`kitestring backup create` does not), the prune fails, or the "
        "store refuses to delete.",
        mend="`kitestring backup prune`, and look at the schedule's log.",
        requires=(BACKUPS_THERE,),
    ),
)
