"""Whether a backup is due, and making it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kitestring.errors import UsageError
from kitestring.model.backup import BackupSummary
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.types import format_duration


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
    """Whether the newest readable backup of the cluster is older than allowed.

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
    newest = max(mine, key=lambda s: s.boundary)
    age = now - newest.boundary / 1000
    allowed = format_duration(limit)
    if age > limit:
        return Due(True, f"the newest backup is older than {allowed}", newest, age)
    return Due(False, f"the newest backup is not older than {allowed}", newest, age)


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
        BackupBusy, StoreError, MilvusError, UsageError: see `create_backup` and `backup_due`.
    """
    from kitestring.backup.catalog import open_catalog

    catalog = open_catalog(loaded)
    due = backup_due(loaded, catalog.summaries(), time.time(), max_age)
    if force and not due.due:
        due = replace(due, due=True, reason="asked for")
    if not due.due or dry_run:
        return due, None
    from kitestring.backup.create import create_backup
    from kitestring.clients.milvus.connect import connect

    with connect(loaded) as milvus:
        made = create_backup(loaded, milvus, on_event=on_event)
    return due, next(s for s in catalog.summaries() if s.id == made.id)
