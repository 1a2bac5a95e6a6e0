"""Removes backups that no rule keeps, and then the objects of the pool that no backup needs.

Mark, wait, sweep. What no rule keeps is marked in its summary, and stays a backup like any other;
when a rule keeps it again, or a drill of it passes, the mark goes. After the grace period its
manifest is removed first, which makes it no backup, and then what only it needed. Every step may
be the last one: the next run goes on from what it finds.

A backup and a prune never run at the same time: both hold the catalog's lock, and a prune looks
whether it still does before each batch that it deletes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.drill_history import open_history
from kitestring.backup.interrupts import stoppable
from kitestring.backup.lock import Lock, held
from kitestring.backup.retention import Decision, decide
from kitestring.backup.unneeded import (
    Refusal,
    Unneeded,
    delete_all,
    find_unneeded,
    names_of,
    names_of_jobs,
    unread_problem,
)
from kitestring.backup.versions import NO_VERSIONS, OldVersions, keeping, old_versions
from kitestring.errors import StoreError
from kitestring.model.backup import AHEAD, BackupSummary
from kitestring.model.drill import DrillSummary
from kitestring.spec.loaded import LoadedSpec

OnEvent = Callable[[str], None]
GRACE = 86_400.0  # seconds; of objects, where the spec has no retention
_UNKNOWN_DRILL = "a drill record can't be read"


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What a prune did, or with `dry_run` would do. Sizes in bytes.

    `marked`, `unmarked` and `removed` are ids. `objects` and `bytes` are swept from the pool by
    this run; `later_objects` and `later_bytes` once the grace period of what is marked is over.
    """

    dry_run: bool
    decisions: tuple[Decision, ...]
    grace: float  # seconds
    marked: tuple[str, ...] = ()
    unmarked: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    waiting: tuple[tuple[str, int], ...] = ()  # marked: id, and when it goes (ms since the epoch)
    objects: int = 0
    bytes: int = 0
    later_objects: int = 0
    later_bytes: int = 0
    versions: OldVersions = NO_VERSIONS  # of deleted objects, where the bucket keeps them
    refused: tuple[Refusal, ...] = ()  # what the store would not delete
    problems: tuple[str, ...] = ()  # what kept a part of the work from being done

    @property
    def changed(self) -> bool:
        swept = self.objects or self.versions.deleted
        return bool(self.marked or self.unmarked or self.removed or swept)

    @property
    def clean(self) -> bool:
        return not self.refused and not self.problems


def prune(
    loaded: LoadedSpec,
    *,
    dry_run: bool = False,
    now: int | None = None,
    coming: Sequence[BackupSummary] = (),
    on_event: OnEvent | None = None,
) -> PruneResult:
    """Marks and sweeps the backups of the spec's cluster by its retention.

    Without retention every backup is kept; objects that none of them needs are swept all the same.

    Args:
        now: ms since the epoch.
        coming: backups that will be there by then, of a dry run: the rules count them.

    Raises:
        BackupBusy: a backup or another prune runs.
        BackupRefused: the spec names no store for backups.
        StoreError: the store does not answer. What it refuses to delete is in the result.
    """
    tell = on_event or (lambda _line: None)
    catalog = open_catalog(loaded)
    at = int(time.time() * 1000) if now is None else now
    if dry_run:
        return _Run(loaded, catalog, None, at, tell, coming).run()
    with stoppable(), held(catalog.store, "a prune") as lock:
        for line in catalog.sweep_partials():
            tell(line)
        return _Run(loaded, catalog, lock, at, tell).run()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done to which backups, and what those that stay need."""

    decisions: tuple[Decision, ...]
    fresh: list[BackupSummary]  # to be marked
    unmarked: list[BackupSummary]
    due: list[BackupSummary]  # to be removed
    waiting: list[BackupSummary]  # marked, or to be marked
    kept_keys: set[str]
    marked_keys: set[str]
    unread: dict[str, str]


class _Run:
    """One prune; without a lock a dry one."""

    def __init__(
        self,
        loaded: LoadedSpec,
        catalog: Catalog,
        lock: Lock | None,
        now: int,
        tell: OnEvent,
        coming: Sequence[BackupSummary] = (),
    ) -> None:
        self.loaded, self.catalog, self.lock, self.now, self.tell = loaded, catalog, lock, now, tell
        self.coming = coming
        self.retention = loaded.spec.backup.retention if loaded.spec.backup else None
        self.grace = self.retention.grace if self.retention else GRACE
        self.cluster = loaded.spec.cluster.name
        self.refused: list[Refusal] = []
        self.problems: list[str] = []

    def run(self) -> PruneResult:
        everything = self.catalog.summaries()
        mine = {s.id: s for s in everything if s.cluster == self.cluster or not s.readable}
        others = [s.id for s in everything if s.id not in mine]
        drills = open_history(self.loaded).summaries()
        plan = self._plan(mine, others, drills)
        self._mark(plan.fresh, self.now)
        self._mark(plan.unmarked, None)
        removed = self._remove(plan.due)
        unread = dict(plan.unread)
        if stayed := [s.id for s in plan.due if s.id not in removed]:
            found = names_of(self.catalog, stayed)
            plan.kept_keys.update(found.keys)
            unread |= found.unread
        result = PruneResult(
            dry_run=self.lock is None,
            decisions=plan.decisions,
            grace=self.grace,
            marked=tuple(s.id for s in plan.fresh),
            unmarked=tuple(s.id for s in plan.unmarked),
            removed=tuple(removed),
            waiting=tuple((s.id, self._ends(s)) for s in plan.waiting),
        )
        if unread:
            self.problems.append(unread_problem(unread))
        else:
            result = self._sweep(result, plan)
        return replace(result, refused=tuple(self.refused), problems=tuple(self.problems))

    def _plan(
        self, mine: dict[str, BackupSummary], others: Sequence[str], drills: Sequence[DrillSummary]
    ) -> _Plan:
        """Decides, and reads the manifest of each backup that stays.

        One that can't be read must not have been the reason to let another go: then it is decided
        again.
        """
        unread: dict[str, str] = {}
        while True:
            known = [replace(s, readable=s.readable and s.id not in unread) for s in mine.values()]
            decided = self._decide([*known, *self.coming], drills)
            decisions = tuple(d for d in decided if d.id in mine)
            stay = [mine[d.id] for d in decisions if d.keep]
            unkept = [mine[d.id] for d in decisions if not d.keep]
            waiting = [s for s in unkept if self._ends(s) > self.now]
            kept = names_of(self.catalog, [*others, *(s.id for s in stay)])
            marked = names_of(self.catalog, [s.id for s in waiting])
            found = kept.unread | marked.unread
            if not any(mine[i].readable for i in found.keys() - unread.keys() if i in mine):
                break
            unread |= found
        return _Plan(
            decisions=decisions,
            fresh=[s for s in unkept if self._since(s) is None],
            unmarked=[s for s in stay if s.marked_at is not None and s.id not in found],
            due=[s for s in unkept if self._ends(s) <= self.now],
            waiting=waiting,
            kept_keys=kept.keys,
            marked_keys=marked.keys,
            unread=found,
        )

    def _decide(
        self, known: Sequence[BackupSummary], drills: Sequence[DrillSummary]
    ) -> tuple[Decision, ...]:
        decisions = decide(known, drills, self.retention, self.now)
        unread = unknown_drill(drills)
        if self.retention is None or unread is None:
            return decisions
        self.problems = [
            f"no backup is removed: {unread.problem or f'the drill {unread.id}'}; it may be the "
            "proof of one. Restore the record, or move it out of the history"
        ]
        return tuple(replace(d, keep=True, rules=(_UNKNOWN_DRILL,)) for d in decisions)

    def _since(self, summary: BackupSummary) -> int | None:
        """Since when a backup is marked; a mark of the future is none."""
        at = summary.marked_at
        return at if at is not None and at <= self.now + AHEAD else None

    def _ends(self, summary: BackupSummary) -> int:
        since = self._since(summary)
        return (self.now if since is None else since) + int(self.grace * 1000)

    def _mark(self, summaries: Iterable[BackupSummary], at: int | None) -> None:
        for summary in summaries:
            if self.lock is not None:
                self.lock.renew()
                self.catalog.mark(summary.id, at)

    def _remove(self, due: Sequence[BackupSummary]) -> list[str]:
        """Takes backups out of the catalog, the oldest first; those that the store let go."""
        removed = []
        for summary in reversed(due):
            if self.lock is not None:
                self.lock.renew()
                self.lock.check()
                try:
                    self.catalog.remove(summary.id)
                except StoreError as error:
                    if error.transient:
                        raise
                    self.refused.append(Refusal(summary.id, error.message))
                    continue
                self.tell(f"removed {summary.id}")
            removed.append(summary.id)
        return removed

    def _sweep(self, result: PruneResult, plan: _Plan) -> PruneResult:
        until = self.now - int(self.grace * 1000)
        found = find_unneeded(
            self.catalog, self.cluster, plan.kept_keys, plan.marked_keys, until=until, now=self.now
        )
        swept = self._swept(found)
        return replace(
            result,
            versions=self._versions(plan, until),
            objects=len(swept),
            bytes=sum(swept.values()),
            later_objects=len(found.later),
            later_bytes=sum(found.later.values()),
        )

    def _versions(self, plan: _Plan, until: int) -> OldVersions:
        bucket = keeping(self.catalog.store)
        if bucket is None:
            return NO_VERSIONS
        delete = self.retention is not None and self.retention.versions == "delete"
        named = plan.kept_keys | plan.marked_keys | names_of_jobs(self.catalog.store, self.now)
        try:
            return old_versions(
                bucket, self.cluster, named.__contains__,
                until=until if delete else None, lock=self.lock,
            )  # fmt: skip
        except StoreError as error:
            if error.transient:
                raise
            if delete:
                self.problems.append(f"old versions were not deleted: {error.message}")
            else:
                self.tell(f"old versions were not counted: {error.message}")
            return NO_VERSIONS

    def _swept(self, found: Unneeded) -> dict[str, int]:
        if self.lock is None:
            return found.now
        refused = delete_all(self.catalog.store, found.now, self.lock)
        self.refused += refused
        gone = {key: found.now[key] for key in found.now.keys() - {r.key for r in refused}}
        if gone:
            self.tell(f"swept {len(gone)} objects, {sum(gone.values()):,} bytes")
        return gone


def unknown_drill(drills: Iterable[DrillSummary]) -> DrillSummary | None:
    """A drill whose record can't be read, and that may be the newest one that proves a backup."""
    for drill in sorted(drills, key=lambda d: d.started_at, reverse=True):
        if not drill.readable:
            return drill
        if drill.proves:
            return None
    return None
