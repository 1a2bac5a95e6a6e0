"""Which backup: by name, the newest, or the newest of an instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from kitestring.backup.catalog import LATEST, Catalog, no_backup
from kitestring.errors import BackupNotFound, ManifestUnreadable, UsageError
from kitestring.model.backup import BackupManifest, BackupSummary


def parse_instant(text: str) -> int:
    """ms since the epoch from `2026-03-04T05:06:07Z` or with an offset.

    Raises:
        UsageError: it is no instant, or does not say in which time zone.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"`{text}` is no instant", hint="write it as 2026-03-04T05:06:07Z"
        ) from None
    if found.tzinfo is None:
        raise UsageError(
            f"`{text}` does not say in which time zone",
            hint=f"{found.isoformat()}Z means UTC; +02:00 works too",
        )
    return int(found.timestamp() * 1000)


def pick(
    catalog: Catalog, cluster: str, name: str = LATEST, at: int | None = None
) -> tuple[BackupManifest, tuple[str, ...]]:
    """The manifest of a backup, and what has to be said of the choice.

    `latest` is the newest backup of this cluster that can be read; with `at` (ms since the epoch),
    the newest one whose boundary is not later. Newer ones that can't be read are named, not
    skipped in silence.

    Raises:
        BackupNotFound: there is none.
        ManifestUnreadable: a backup that was named can't be read.
    """
    if name != LATEST:
        if at is not None:
            raise UsageError(f"`{name}` names a backup, and an instant another one")
        return catalog.manifest(catalog.resolve(name)), ()
    notes: list[str] = []
    there = []
    summaries = catalog.summaries()
    for summary in summaries:
        if summary.readable and summary.cluster != cluster:
            continue
        if at is not None and summary.readable and summary.boundary > at:
            there.append(summary.boundary)
            continue
        try:
            manifest = catalog.manifest(summary.id)
            older = [s for s in summaries if s.readable and s.cluster == cluster]
            return manifest, (*notes, *_not_in(summary, older))
        except ManifestUnreadable as error:
            notes.append(f"a newer backup could not be used: {error.message}")
    if there:
        raise BackupNotFound(
            f"{catalog.store.url} has no backup of `{cluster}` with a boundary at or before "
            f"{_shown(at or 0)}; the oldest one is of {_shown(min(there))}",
            hint="name a later instant",
            subject=cluster,
        )
    more = "".join(f"; {note}" for note in notes)
    raise no_backup(catalog.store.url, "", cluster, summaries, more)


def _not_in(chosen: BackupSummary, others: Sequence[BackupSummary]) -> Iterator[str]:
    """What an older backup holds and the chosen one does not: somebody may have named a few
    collections, or some rows."""
    for other in others:
        lacking = sorted(set(other.whole) - set(chosen.whole))
        if other.boundary < chosen.boundary and lacking:
            named = ", ".join(f"`{name}`" for name in lacking[:5])
            more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
            yield f"{chosen.id} does not hold all of {named}{more}; {other.id} does"
            return


def _shown(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S UTC}"
