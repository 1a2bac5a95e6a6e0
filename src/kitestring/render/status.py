"""The cluster on one screen: facts, no verdicts (those are `kitestring drift`'s)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

from rich.table import Table
from rich.text import Text

from kitestring.model.backup import BackupSummary
from kitestring.model.collection import CollectionInfo
from kitestring.model.drill import DrillSummary
from kitestring.model.snapshot import ObservedCollection, Snapshot
from kitestring.model.words import plural
from kitestring.render.findings import console_for
from kitestring.render.json import collection_facts
from kitestring.render.words import duration, rto_words, when
from kitestring.spec.loaded import LoadedSpec

STATUS_SCHEMA_VERSION = 1
_WIDE = 1000  # columns
_HEADS = ("collection", "rows", "model", "index", "load", "segments")


def status_json(loaded: LoadedSpec, snapshot: Snapshot, uri: str) -> str:
    """The status as JSON text. Times are ms since the epoch, durations seconds."""
    return json.dumps(status_facts(loaded, snapshot, uri), indent=2, ensure_ascii=False) + "\n"


def status_facts(loaded: LoadedSpec, snapshot: Snapshot, uri: str) -> dict[str, Any]:
    """The status as plain values."""
    objectives = loaded.spec.objectives
    wanted = {c.name for c in loaded.spec.collections}
    backup, verified = newest_backup(snapshot), newest_backup(snapshot, verified=True)
    drill = newest_drill(snapshot)
    return {
        "schema_version": STATUS_SCHEMA_VERSION,
        "cluster": snapshot.cluster,
        "uri": uri,
        "server_version": snapshot.server_version,
        "taken_at": snapshot.taken_at,
        "collections": [
            {
                "name": name,
                "in_spec": name in wanted,
                **collection_facts(seen),
                "indexes": [
                    {
                        "name": state.index.name,
                        "field": state.index.field,
                        "type": state.index.type,
                        "metric": state.index.metric,
                        "state": state.state,
                        "indexed_rows": state.indexed_rows,
                        "total_rows": state.total_rows,
                    }
                    for state in seen.info.indexes
                ],
            }
            for name, seen in sorted(snapshot.collections.items())
        ],
        "missing_collections": sorted(wanted - set(snapshot.collections)),
        "aliases": dict(snapshot.aliases),
        "dead_letters": dict(snapshot.dead_letters),
        "backups_error": snapshot.backups_error,
        "newest_backup": None if backup is None else _backup_facts(backup, snapshot),
        "newest_verified_backup": None if verified is None else _backup_facts(verified, snapshot),
        "newest_drill": None
        if drill is None
        else {
            "id": drill.id,
            "backup": drill.backup,
            "passed": drill.passed,
            "age_seconds": _age(drill.started_at, snapshot),
            "rpo_seconds": drill.rpo_seconds,
            "rto_seconds": drill.rto_seconds,
        },
        "objectives": None
        if objectives is None
        else {
            "rpo_seconds": objectives.rpo,
            "rto_seconds": objectives.rto,
            "recall_minimum": objectives.recall.minimum,
            "recall_k": objectives.recall.k,
            "drill_every_seconds": objectives.drill_every,
        },
    }


def write_status(loaded: LoadedSpec, snapshot: Snapshot, uri: str, file: TextIO) -> None:
    """Writes the status as text."""
    console = console_for(file)
    if not file.isatty():
        console.width = _WIDE  # names are not broken for programs that look for them
    console.print(
        Text.assemble(
            (snapshot.cluster, "bold"),
            f" · Milvus {snapshot.server_version} · {uri} · {when(snapshot.taken_at)}"
            f" · observed in {duration(snapshot.seconds)}",
        )
    )
    console.print()
    console.print(_collections(loaded, snapshot))
    console.print()
    for name, text in _below(loaded, snapshot):
        console.print(Text.assemble((f"{name:13}", "bold"), text))


def newest_backup(snapshot: Snapshot, *, verified: bool = False) -> BackupSummary | None:
    """The readable backup of this cluster with the latest boundary."""
    mine = [
        b
        for b in snapshot.backups or ()
        if b.readable and b.cluster == snapshot.cluster and (b.verified_at or not verified)
    ]
    return max(mine, key=lambda b: (b.boundary, b.id), default=None)


def newest_drill(snapshot: Snapshot) -> DrillSummary | None:
    return max(snapshot.drills, key=lambda d: (d.started_at, d.id), default=None)


def _collections(loaded: LoadedSpec, snapshot: Snapshot) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in _HEADS:
        table.add_column(head, overflow="fold", justify="right" if head == "rows" else "left")
    wanted = [c.name for c in loaded.spec.collections]
    for name in wanted:
        seen = snapshot.collections.get(name)
        if seen is None:
            table.add_row(name, "-", "-", "-", "not on the server", "-")
        else:
            table.add_row(*_cells(seen))
    for name in sorted(set(snapshot.collections) - set(wanted)):
        cells = _cells(snapshot.collections[name])
        table.add_row(cells[0], cells[1], "(not in the spec)", *cells[3:])
    return table


def _cells(seen: ObservedCollection) -> tuple[str, str, str, str, str, str]:
    info = seen.info
    return (info.name, _rows(seen), _models(seen), _index(info), _load(info), _segments(seen))


def _rows(seen: ObservedCollection) -> str:
    census = seen.census
    if census is not None and census.counted:
        return f"{census.counted:,}"
    if census is not None and census.complete:
        return "0"
    # as written: deleted rows count until compaction, rows not yet flushed do not
    return f"~{sum(s.rows for s in seen.segments):,}"


def _models(seen: ObservedCollection) -> str:
    census = seen.census
    if census is None or census.models is None:
        return "-"
    if len(census.models) == 1:
        return next(iter(census.models)) or "(no label)"
    ordered = sorted(census.models.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{label or '(no label)'}: {rows:,}" for label, rows in ordered) or "-"


def _index(info: CollectionInfo) -> str:
    if not info.indexes:
        return "none"
    return ", ".join(
        f"{state.index.type} on {state.index.field}"
        + (
            ""
            if state.state == "Finished" and state.indexed_rows >= state.total_rows
            else f" ({state.indexed_rows:,} of {state.total_rows:,} rows, {state.state})"
        )
        for state in info.indexes
    )


def _load(info: CollectionInfo) -> str:
    words = {"Loaded": "loaded", "Loading": "loading", "NotLoad": "not loaded"}
    text = words.get(info.load_state, info.load_state)
    return f"{text}, {plural(info.replicas, 'replica')}" if info.replicas else text


def _segments(seen: ObservedCollection) -> str:
    flushed = f"{len(seen.segments)} on disk"
    return f"{flushed}, {len(seen.loaded_segments)} in memory" if seen.info.loaded else flushed


def _below(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    pairs = ", ".join(f"{alias} → {owner}" for alias, owner in snapshot.aliases.items())
    yield "aliases", pairs or "none"
    for name, seen in sorted(snapshot.collections.items()):
        if seen.census is not None and not seen.census.complete:
            yield "incomplete", f"{name}: {seen.census.reason}"
    for name, count in snapshot.dead_letters.items():
        yield "dead letters", f"{name}: {count:,} not written; `kitestring ingest` tries them again"
    yield "backup", _backup_text(loaded, snapshot)
    yield "drill", _drill_text(snapshot)
    objectives = loaded.spec.objectives
    yield (
        "objectives",
        "none in the spec"
        if objectives is None
        else f"RPO {duration(objectives.rpo)}, RTO {duration(objectives.rto)}, "
        f"recall@{objectives.recall.k} {objectives.recall.minimum:g}, "
        f"a drill every {duration(objectives.drill_every)}",
    )


def _backup_text(loaded: LoadedSpec, snapshot: Snapshot) -> str:
    if loaded.spec.backup is None:
        return "the spec names no place for backups"
    if snapshot.backups is None:
        return f"the catalog can't be read: {snapshot.backups_error}"
    newest = newest_backup(snapshot)
    if newest is None:
        return "none"
    text = f"{newest.id}, {_ago(newest.boundary, snapshot)}, {plural(newest.rows, 'row')}"
    verified = newest_backup(snapshot, verified=True)
    if verified is None or verified.verified_at is None:
        return f"{text}; none was verified"
    which = "verified" if verified.id == newest.id else f"{verified.id} was verified"
    return f"{text}; {which} {_ago(verified.verified_at, snapshot)} ({verified.verified_tier})"


def _drill_text(snapshot: Snapshot) -> str:
    newest = newest_drill(snapshot)
    if newest is None:
        return "none"
    if not newest.readable:
        return f"{newest.id}: {newest.problem}"
    verdict = "passed" if newest.passed else "failed"
    return (
        f"{newest.id} {verdict} {_ago(newest.started_at, snapshot)}: "
        f"RPO {duration(newest.rpo_seconds)}, RTO {rto_words(newest.rto_seconds)}"
    )


def _backup_facts(backup: BackupSummary, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "id": backup.id,
        "age_seconds": _age(backup.boundary, snapshot),
        "rows": backup.rows,
        "verified_at": backup.verified_at,
        "verified_tier": backup.verified_tier,
    }


def _age(ms: int, snapshot: Snapshot) -> float:
    return round((snapshot.taken_at - ms) / 1000, 3)


def _ago(ms: int, snapshot: Snapshot) -> str:
    seconds = _age(ms, snapshot)
    return f"{duration(seconds)} ago" if seconds >= 0 else f"{duration(-seconds)} in the future"
