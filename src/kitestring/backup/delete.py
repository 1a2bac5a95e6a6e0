"""Deletes one backup by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.drill_history import open_history
from kitestring.backup.interrupts import stoppable
from kitestring.backup.lock import Lock, held
from kitestring.backup.prune import unknown_drill
from kitestring.backup.unneeded import (
    Names,
    Refusal,
    delete_all,
    names_of,
    names_of_jobs,
    unread_problem,
)
from kitestring.errors import BackupRefused
from kitestring.model.backup import BackupSummary
from kitestring.model.drill import DrillSummary
from kitestring.spec.loaded import LoadedSpec

OnEvent = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """What was deleted. Sizes in bytes; `objects` is 0 where a later prune sweeps them."""

    id: str
    objects: int = 0
    bytes: int = 0
    refused: tuple[Refusal, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not self.refused and not self.problems


def delete_backup(
    loaded: LoadedSpec,
    backup_id: str,
    *,
    force: bool = False,
    sweep_now: bool = False,
    on_event: OnEvent | None = None,
) -> DeleteResult:
    """Takes one backup out of the catalog; also one that can't be read.

    Its objects stay until the next prune, unless `sweep_now`: then those go at once that it names
    and no other backup does.

    Raises:
        BackupNotFound: there is no backup of that id.
        BackupRefused: it is one that should not go without `force` (see `why_not`).
        BackupBusy: a backup or a prune runs.
        StoreError: the store does not let it go; it is whole.
    """
    catalog = open_catalog(loaded)
    with stoppable(), held(catalog.store, "a deletion") as lock:
        summaries = catalog.summaries()
        drills = open_history(loaded).summaries()
        reason = why_not(backup_id, loaded.spec.cluster.name, summaries, drills)
        if reason and not force:
            raise BackupRefused(
                f"{backup_id} is {reason}", hint="`--force` deletes it", subject=backup_id
            )
        named = names_of(catalog, [backup_id]) if sweep_now else Names()
        lock.check()
        catalog.remove(backup_id)
        (on_event or (lambda _line: None))(f"removed {backup_id}")
        if not sweep_now:
            return DeleteResult(backup_id)
        if why := "".join(named.unread.values()):
            problem = f"no object is swept: {why}. The next prune finds what nobody needs"
            return DeleteResult(backup_id, problems=(problem,))
        return _sweep(catalog, backup_id, named.keys, [s.id for s in summaries], lock)


def why_not(
    backup_id: str,
    cluster: str,
    summaries: Sequence[BackupSummary],
    drills: Sequence[DrillSummary],
) -> str:
    """Why a backup should stay, in words; empty where nothing speaks for it."""
    mine = next((s for s in summaries if s.id == backup_id), None)
    if mine is None or not mine.readable:
        return ""
    if mine.cluster != cluster:
        return f"a backup of `{mine.cluster}`, and the spec is that of `{cluster}`"
    good = [s for s in summaries if s.readable and s.cluster == cluster]
    good.sort(key=lambda s: (s.boundary, s.id), reverse=True)
    passed = {d.backup for d in drills if d.readable and d.passed}
    proven = {d.backup for d in drills if d.proves}
    if len(good) == 1:
        return f"the last backup of `{cluster}` that can be read"
    for what, held_by in (
        ("the newest one that has passed a drill", [s for s in good if s.id in proven]),
        ("the newest one that has passed a drill of a sample", [s for s in good if s.id in passed]),
        ("the newest one that is verified", [s for s in good if s.verified_at is not None]),
    ):
        if held_by and held_by[0].id == backup_id:
            return what
    if (unread := unknown_drill(drills)) is not None:
        return f"maybe the one of the drill {unread.id}, whose record can't be read"
    return ""


def _sweep(
    catalog: Catalog, backup_id: str, named: set[str], ids: Sequence[str], lock: Lock
) -> DeleteResult:
    others = names_of(catalog, [id_ for id_ in ids if id_ != backup_id])
    if others.unread:
        return DeleteResult(backup_id, problems=(unread_problem(others.unread),))
    store = catalog.store
    needed = others.keys | names_of_jobs(store, int(time.time() * 1000))
    sizes = {key: info.size for key in sorted(named - needed) if (info := store.head(key))}
    refused = delete_all(store, sizes, lock)
    gone = sizes.keys() - {r.key for r in refused}
    return DeleteResult(backup_id, len(gone), sum(sizes[key] for key in gone), tuple(refused))
