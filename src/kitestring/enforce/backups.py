"""Whether a backup is due, making it, and what the spec wants done after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kitestring.backup.prune import PruneResult, prune
from kitestring.backup.verify import VerifyResult, verify
from kitestring.errors import UsageError
from kitestring.model.backup import AHEAD, BackupSummary
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.types import format_duration

_ANY_AGE = 1e12  # seconds


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a backup has to be made, why (or why not), and the newest one there is."""

    due: bool
    reason: str
    newest: BackupSummary | None
    age: float | None  # seconds since the newest one's boundary


def backup_due(
    loaded: LoadedSpec,
    summaries: Sequence[BackupSummary],
    now: float,
    max_age: float | None = None,
) -> Due:
    """Whether the newest readable backup of the cluster, of all that the spec names, is older than
    allowed.

    Args:
        now: seconds since the epoch.
        max_age: seconds; the objective `rpo` of the spec by default.

    Raises:
        UsageError: neither `max_age` nor an objective says what is allowed.
    """
    limit = max_age
    if limit is None and loaded.spec.objectives is not None:
        limit = loaded.spec.objectives.rpo
    if limit is None:
        raise UsageError(
            "nothing says how old a backup may be",
            hint=f"name a largest age, or write `objectives.rpo` in {loaded.file}",
        )
    mine = [s for s in summaries if s.readable and s.cluster == loaded.spec.cluster.name]
    if not mine:
        return Due(True, "there is no backup of this cluster", None, None)
    # one of the future, by a clock that was set back since, would never be old
    mine = [s for s in mine if s.boundary <= now * 1000 + AHEAD]
    if not mine:
        reason = "the boundary of every backup is in the future: a clock was set back"
        return Due(True, reason, None, None)
    # one of a single collection is no reason to leave the others out
    wanted = {c.name for c in loaded.spec.collections} & {n for s in mine for n in s.whole}
    holding = [s for s in mine if wanted <= set(s.whole)]
    newest = max(holding, key=lambda s: s.boundary, default=None)
    if newest is None:
        return Due(True, "no backup holds all collections of the spec", None, None)
    age = now - newest.boundary / 1000
    allowed = format_duration(limit)
    if age > limit:
        return Due(True, f"the newest backup is older than {allowed}", newest, age)
    return Due(False, f"the newest backup is not older than {allowed}", newest, age)


@dataclass(frozen=True, slots=True)
class Kept:
    """What keeping backups came to. `verified` and `pruned` are None where the spec wants none, or
    there was nothing to verify."""

    due: Due
    made: BackupSummary | None
    verified: VerifyResult | None = None
    pruned: PruneResult | None = None

    @property
    def changed(self) -> bool:
        """Whether anything was done, or in a dry run would be."""
        return self.due.due or (self.pruned is not None and self.pruned.changed)

    @property
    def exit_code(self) -> int:
        """1 where a part of the prune could not be done, 2 where the backup is damaged."""
        if self.pruned is not None and not self.pruned.clean:
            return 1
        return 0 if self.verified is None or self.verified.passed else 2

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, in words."""
        found = [] if self.verified is None else [*self.verified.problems]
        if self.pruned is not None:
            found += [f"{r.key} was not deleted: {r.why}" for r in self.pruned.refused]
            found += self.pruned.problems
        return tuple(found)


def keep_backups(
    loaded: LoadedSpec,
    *,
    max_age: float | None = None,
    force: bool = False,
    dry_run: bool = False,
    on_event: Callable[[str], None] | None = None,
) -> Kept:
    """What the schedule does: a backup if one is due (with `force` in any case), its verification
    by `day2.backup.verify`, and a prune by `backup.retention`.

    A new backup that turns out to be damaged is no reason to remove older ones: nothing is pruned.

    Raises:
        see `ensure_backup`, `verify` and `prune`.
    """
    from kitestring.backup.catalog import open_catalog

    due, made = ensure_backup(
        loaded, max_age=max_age, force=force, dry_run=dry_run, on_event=on_event
    )
    tier = loaded.spec.day2.backup.verify
    verified = None
    if made is not None and tier is not None:
        verified = verify(open_catalog(loaded), made.id, tier=tier, on_event=on_event)
        if not verified.passed:
            return Kept(due, made, verified)
    wanted = loaded.spec.backup is not None and loaded.spec.backup.retention is not None
    coming = [_foreseen(due.newest, tier)] if dry_run and due.due and due.newest else []
    pruned = prune(loaded, dry_run=dry_run, coming=coming, on_event=on_event) if wanted else None
    return Kept(due, made, verified, pruned)


def _foreseen(newest: BackupSummary, tier: str | None) -> BackupSummary:
    """The backup that a dry run leaves out, as far as retention looks at it."""
    now = int(time.time() * 1000)
    return replace(
        newest,
        id="",
        created_at=now,
        boundary=now,
        finished_at=now,
        marked_at=None,
        verified_at=now if tier else None,
        verified_tier=tier or "",
        best_at=None,
        best_tier="",
    )


def ensure_backup(
    loaded: LoadedSpec,
    *,
    max_age: float | None = None,
    force: bool = False,
    dry_run: bool = False,
    on_event: Callable[[str], None] | None = None,
) -> tuple[Due, BackupSummary | None]:
    """Makes a backup if one is due; what was due, and the new one's summary.

    Only a backup that is due needs the server. `force` makes one in any case.

    Raises:
        BackupRefused: the spec names no store, or a precondition does not hold.
        BackupBusy, StoreError, MilvusError, UsageError: see `make_backup` and `backup_due`.
    """
    from kitestring.backup.catalog import open_catalog

    catalog = open_catalog(loaded)
    if force and max_age is None and loaded.spec.objectives is None:
        max_age = _ANY_AGE
    due = backup_due(loaded, catalog.summaries(), time.time(), max_age)
    if force and not due.due:
        due = replace(due, due=True, reason="asked for")
    if not due.due:
        return due, None
    from kitestring.backup.methods import make_backup
    from kitestring.clients.milvus.connect import connect

    with connect(loaded) as milvus:  # a dry run fails where no server answers, too
        if dry_run:
            return due, None
        made = make_backup(loaded, milvus, on_event=on_event)
    return due, next(s for s in catalog.summaries() if s.id == made.id)
