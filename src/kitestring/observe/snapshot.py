"""One observation of a cluster: definitions, segments, rows, backups and drills."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import BackupError, CollectionNotFound, SecretMissing, StoreError
from kitestring.ingest.deadletter import count_letters
from kitestring.model.backup import BackupSummary
from kitestring.model.drill import DrillSummary
from kitestring.model.evidence import ALL, Evidence
from kitestring.model.snapshot import ObservedCollection, Snapshot
from kitestring.observe.probes import probes_on
from kitestring.observe.reading import Reading
from kitestring.observe.rows import STREAMS, with_rows
from kitestring.parallel import Workers
from kitestring.spec.loaded import LoadedSpec

_PRUNE_SLACK = 2 * 86400.0  # seconds


def observe(
    loaded: LoadedSpec,
    milvus: Milvus,
    *,
    wanted: Collection[Evidence] = ALL,
    reading: Reading | None = None,
) -> Snapshot:
    """Reads everything once. Nothing is changed, flushed or loaded.

    Args:
        wanted: kinds of evidence to take beside definitions, segments, backups and drills;
            always of the spec's collections: others are described, and their rows left alone.
        reading: how rows are read, and on what.

    Raises:
        MilvusError: the server could not be read.
        LedgerUnreadable: the ledger is there and can't be read.
    """
    start = time.monotonic()
    taken_at = int(time.time() * 1000)
    how = reading or Reading()
    with Workers(how.on) as workers:
        collections = _collections(milvus, workers)
        if Evidence.ROWS in wanted:
            collections = with_rows(loaded, milvus, collections, workers, how)
        backups, problem = _backups(loaded)
        drills = _drills(loaded)
        snapshot = Snapshot(
            cluster=loaded.spec.cluster.name,
            server_version=milvus.version(),
            taken_at=taken_at,
            collections=collections,
            aliases=_aliases(loaded, milvus, collections),
            backups=backups,
            backups_error=problem,
            backups_overdue=_overdue(loaded, backups or (), drills, taken_at),
            drills=drills,
            dead_letters=count_letters(loaded),
        )
        for kind, probe in probes_on(workers).items():
            if kind in wanted:
                snapshot = probe(loaded, milvus, snapshot)
    return replace(snapshot, seconds=time.monotonic() - start)


def _collections(milvus: Milvus, workers: Workers) -> dict[str, ObservedCollection]:
    """Definitions and segments; without a collection that went away since it was listed."""
    names = milvus.list_collections()
    threads = workers.side_by_side(min(STREAMS, len(names)))
    found = threads.run(partial(_collection, milvus), names)
    return {name: seen for name, seen in zip(names, found, strict=True) if seen is not None}


def _collection(milvus: Milvus, name: str) -> ObservedCollection | None:
    try:
        info = milvus.describe(name)
        return ObservedCollection(
            info=info,
            segments=tuple(milvus.segments(name)),
            loaded_segments=tuple(milvus.loaded_segments(name)) if info.loaded else (),
        )
    except CollectionNotFound:
        return None


def _aliases(
    loaded: LoadedSpec, milvus: Milvus, collections: dict[str, ObservedCollection]
) -> dict[str, str]:
    """Alias -> collection. The spec's aliases are looked up one by one: for a while after a
    change, `describe` tells the former ones."""
    found = {alias: name for name, seen in collections.items() for alias in seen.info.aliases}
    for collection in loaded.spec.collections:
        for alias in collection.aliases:
            owner = milvus.alias_owner(alias)
            if owner is None:
                found.pop(alias, None)
            else:
                found[alias] = owner
    return dict(sorted(found.items()))


def _backups(loaded: LoadedSpec) -> tuple[tuple[BackupSummary, ...] | None, str]:
    if loaded.spec.backup is None:
        return (), ""
    from kitestring.backup.catalog import open_catalog

    try:
        return tuple(open_catalog(loaded).summaries()), ""
    except (StoreError, BackupError, SecretMissing) as error:
        return None, error.message


def _overdue(
    loaded: LoadedSpec,
    backups: Sequence[BackupSummary],
    drills: Sequence[DrillSummary],
    now: int,
) -> tuple[str, ...]:
    """Backups that should have gone: by a prune a day, that is late by more than two days."""
    from kitestring.backup.retention import overdue

    wanted = loaded.spec.backup
    mine = [s for s in backups if s.readable and s.cluster == loaded.spec.cluster.name]
    return overdue(mine, drills, wanted.retention if wanted else None, now, _PRUNE_SLACK)


def _drills(loaded: LoadedSpec) -> tuple[DrillSummary, ...]:
    from kitestring.backup.drill_history import open_history

    return tuple(open_history(loaded).summaries())
