"""The metrics of a catalog and its drills, read where they are kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from kitestring.backup.catalog import open_catalog
from kitestring.backup.drill_history import DrillHistory, open_history
from kitestring.clients.textfile import write_whole
from kitestring.errors import DrillRecordUnreadable, UsageError
from kitestring.model.backup import BackupSummary
from kitestring.model.drill import DrillRecord
from kitestring.render.prometheus_backup import backups_as_metrics, drills_as_metrics
from kitestring.spec.loaded import LoadedSpec


def catalog_metrics(loaded: LoadedSpec, summaries: Sequence[BackupSummary]) -> str:
    """What `backup list --output prometheus` prints: the backups of the spec's cluster."""
    history = open_history(loaded)
    cluster = loaded.spec.cluster.name
    mine = [s for s in summaries if s.cluster == cluster or not s.readable]
    now = int(time.time() * 1000)
    return backups_as_metrics(cluster, mine, history.summaries(), newest_record(history), now)


def drill_metrics(loaded: LoadedSpec) -> str:
    """What `drill list --output prometheus` prints."""
    history = open_history(loaded)
    name = loaded.spec.cluster.name
    return drills_as_metrics(name, history.summaries(), newest_record(history))


def newest_record(history: DrillHistory) -> DrillRecord | None:
    """The newest record that can be read; None where there is none."""
    for drill_id in history.ids():
        try:
            return history.record(drill_id)
        except DrillRecordUnreadable:
            continue
    return None


def refresh_metrics(loaded: LoadedSpec, path: Path) -> None:
    """Reads the catalog anew and writes its metrics; see `write_metrics`."""
    write_metrics(path, catalog_metrics(loaded, open_catalog(loaded).summaries()))


def write_metrics(path: Path, text: str) -> None:
    """Writes a file of node_exporter's textfile collector, whole or not at all.

    Raises:
        UsageError: its name does not end with `.prom`: the collector would not read it.
        StoreError: it can't be written.
    """
    if path.suffix != ".prom":
        raise UsageError(
            f"{path} would not be read: node_exporter reads files that end with `.prom`",
            hint=f"--textfile {path.with_suffix('.prom')}",
            subject=str(path),
        )
    write_whole(path, text)
