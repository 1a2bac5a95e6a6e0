"""One observation of a cluster: definitions, segments, rows, backups and drills."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import BackupError, CollectionNotFound, SecretMissing, StoreError
from kitestring.ingest.deadletter import count_letters
from kitestring.ingest.ledger import Ledger, open_ledger
from kitestring.model.backup import BackupSummary
from kitestring.model.drill import DrillSummary
from kitestring.model.evidence import ALL, Evidence
from kitestring.model.snapshot import ObservedCollection, Snapshot
from kitestring.observe.census import take_census
from kitestring.observe.ledger_side import OfCollection
from kitestring.observe.probes import probes_on
from kitestring.observe.reading import Reading
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
    collections: dict[str, ObservedCollection] = {}
    how = reading or Reading()
    with Workers(how.on) as workers:
        with open_ledger(loaded, create=False) as ledger:
            rows = _Rows(ledger, workers, how) if Evidence.ROWS in wanted else None
            for name in milvus.list_collections():
                seen = _collection(loaded, milvus, rows, name)
                if seen is not None:
                    collections[name] = seen
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


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the reading of rows takes."""

    ledger: Ledger
    workers: Workers
    reading: Reading


def _collection(
    loaded: LoadedSpec, milvus: Milvus, rows: _Rows | None, name: str
) -> ObservedCollection | None:
    """None where the collection went away between the listing and now."""
    spec = next((c for c in loaded.spec.collections if c.name == name), None)
    try:
        info = milvus.describe(name)
        census = None
        if spec is not None and rows is not None:
            entries = OfCollection(rows.ledger, name) if rows.ledger.has(name) else None
            census = take_census(
                milvus, info, spec.fields, entries,
                loaded=loaded, reading=rows.reading, workers=rows.workers,
            )  # fmt: skip
        return ObservedCollection(
            info=info,
            segments=tuple(milvus.segments(name)),
            loaded_segments=tuple(milvus.loaded_segments(name)) if info.loaded else (),
            census=census,
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
