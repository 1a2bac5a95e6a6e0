"""A restore drill: restore the newest backup to a target of its own, and measure what it is worth.

The record is written whatever happens, and the target is torn down whatever happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kitestring import __version__
from kitestring.backup.catalog import LATEST, Catalog, open_catalog
from kitestring.backup.drill_history import new_drill_id, open_history
from kitestring.backup.interrupts import shielded
from kitestring.backup.restore import RestoreTarget, restore
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.store.local import LocalStore
from kitestring.drill.golden import golden_queries
from kitestring.drill.inspect import Restored, first_query, inspect
from kitestring.drill.judge import judge, rto_seconds
from kitestring.drill.probe import Queries
from kitestring.drill.source import Source, open_source
from kitestring.drill.target import (
    discard,
    embedded_target,
    new_folder,
    refuse_source,
    source_endpoint,
    stoppable,
)
from kitestring.errors import (
    BackupDamaged,
    BackupNotFound,
    KitestringError,
    ManifestUnreadable,
    MilvusError,
    ObjectMissing,
    RestoreIncomplete,
    SegmentUnreadable,
    ServerUnreachable,
)
from kitestring.model.backup import BackupManifest, CollectionBackup
from kitestring.model.drill import PHASES, CollectionScore, DrillRecord, Phase
from kitestring.spec.loaded import LoadedSpec

# what these say while a backup is being restored is said of the backup: evidence, not an accident
EVIDENCE = (
    BackupDamaged,
    ManifestUnreadable,
    MilvusError,
    ObjectMissing,
    RestoreIncomplete,
    SegmentUnreadable,
)
OnEvent = Callable[[str], None]
_TIMEOUT = 30.0  # seconds that a request to the target may take


@dataclass(frozen=True, slots=True)
class _Plan:
    catalog: Catalog
    folder: Path  # of the target
    keep: bool
    tell: OnEvent


@dataclass
class _Progress:
    """What a drill has measured so far."""

    manifest: BackupManifest
    started_at: int
    phases: dict[str, float] = field(default_factory=dict)
    scores: list[CollectionScore] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    restored: bool = False
    answered: bool = False  # the restored copy gave a correct answer to a first query
    failed: bool = False  # beyond what the objectives can say
    version: str = ""
    target: str = "embedded"
    restore_began: float = 0.0  # of the monotonic clock

    def record(self, loaded: LoadedSpec, drill_id: str) -> DrillRecord:
        rpo = (self.started_at - self.manifest.boundary) / 1000
        rto = rto_seconds(self.phases)
        wanted = loaded.spec.objectives
        objectives = judge(
            wanted,
            rpo=rpo,
            rto=rto if self.answered else None,
            scores=self.scores,
            expected=[c.name for c in self.manifest.collections],
            searched=[c.name for c in self.manifest.collections if _vector_indexes(c)],
        )
        notes = list(self.notes)
        if wanted is None:
            notes.append("no objectives in the spec: RPO, RTO and recall are measured, not judged")
        return DrillRecord(
            id=drill_id,
            backup=self.manifest.id,
            cluster=loaded.spec.cluster.name,
            server_version=self.version or self.manifest.server_version,
            started_at=self.started_at,
            finished_at=_now(),
            boundary=self.manifest.boundary,
            rpo_seconds=rpo,
            rto_seconds=rto,
            phases=tuple(Phase(n, self.phases[n]) for n in PHASES if n in self.phases),
            collections=tuple(self.scores),
            objectives=objectives,
            passed=not self.failed and self.answered and all(o.met for o in objectives),
            target=self.target,
            tool_version=__version__,
            notes=tuple(notes),
        )


def run_drill(
    loaded: LoadedSpec,
    *,
    backup: str = "latest",
    keep_target: bool = False,
    on_event: OnEvent | None = None,
) -> DrillRecord:
    """Restores a backup into a second embedded server, and measures RPO, RTO and answers.

    Args:
        backup: an id, or `latest` for the newest backup that can be read.
        keep_target: leave the restored server running; a note of the record says where.
        on_event: told what is being done, a line at a time.

    Returns:
        The record, which is in the history too. `passed` is false when an objective is missed or
        the backup turns out not to restore.

    Raises:
        BackupNotFound, ManifestUnreadable: there is nothing to restore; no record.
        DrillRefused, LocalError, StoreUnreachable, …: the drill could not be carried out; its
            record says so.
    """
    tell = on_event or (lambda _line: None)
    catalog = open_catalog(loaded)
    manifest, notes = _choose(catalog, loaded.spec.cluster.name, backup)
    history = open_history(loaded)
    drill_id = new_drill_id(datetime.now(UTC))
    progress = _Progress(manifest, _now(), notes=notes)
    plan = _Plan(catalog, new_folder(), keep_target, tell)

    def cut() -> None:
        progress.failed = True
        progress.notes.append("the drill was interrupted, and had to be cut off")
        discard(plan.folder)
        history.write(progress.record(loaded, drill_id))

    with stoppable(cut):
        try:
            _carry_out(loaded, progress, plan)
        except ServerUnreachable as error:  # the target died: that says nothing of the backup
            progress.failed = True
            progress.notes.append(_reason(error))
            raise
        except EVIDENCE as error:
            progress.failed = True
            what = "could not be compared" if progress.restored else "did not restore"
            progress.notes.append(f"the backup {what}: {error.message}")
        except BaseException as error:
            progress.failed = True
            progress.notes.append(_reason(error))
            raise
        finally:
            with shielded():
                record = progress.record(loaded, drill_id)
                history.write(record)
    return record


def _carry_out(loaded: LoadedSpec, progress: _Progress, plan: _Plan) -> None:
    manifest, tell = progress.manifest, plan.tell
    tell(f"backup {manifest.id}: {manifest.rows:,} rows")
    golden = golden_queries(loaded, manifest, progress.notes)
    tell("starting a second server")
    begun = time.monotonic()
    with embedded_target(plan.folder, manifest.bytes, keep=plan.keep) as target:
        progress.phases["target"] = time.monotonic() - begun
        from kitestring.clients.milvus.client import MilvusServer  # pymilvus takes seconds

        with MilvusServer(target.state.uri, timeout=_TIMEOUT) as server:
            progress.version = server.version()
            refuse_source(source_endpoint(loaded), target.endpoint, server.list_collections())
            restored = Restored(server, LocalStore(Path(target.state.root_path), create=False))
            _restore(plan.catalog, progress, restored, tell)
            _first_query(loaded, progress, server, tell)
            with open_source(loaded) as source:
                _compare(loaded, progress, restored, source, golden, tell)
        if plan.keep:
            progress.notes.append(
                f"the target still runs at {target.state.uri}; "
                f"`kitestring local down --data {target.data}` stops it"
            )
    tell("the target is torn down" if not plan.keep else progress.notes[-1])


def _restore(catalog: Catalog, progress: _Progress, restored: Restored, tell: OnEvent) -> None:
    def timed(name: str, seconds: float) -> None:
        progress.phases[name] = progress.phases.get(name, 0.0) + seconds
        tell(f"{name}: {seconds:.1f} s")

    progress.restore_began = time.monotonic()
    result = restore(
        catalog, progress.manifest, RestoreTarget(restored.server, restored.store), on_phase=timed
    )
    progress.restored = True
    progress.notes.extend(result.notes)


def _first_query(loaded: LoadedSpec, progress: _Progress, server: Milvus, tell: OnEvent) -> None:
    """Ends the RTO. The phase takes in what the restore did after loading, so that the phases
    add up to the time that passed."""
    wanted = [c for c in progress.manifest.collections if c.loaded]
    progress.answered = first_query(loaded, server, wanted, progress.notes)
    passed = time.monotonic() - progress.restore_began
    progress.phases["first_query"] = max(0.0, passed - rto_seconds(progress.phases))
    tell(f"first query: {progress.phases['first_query']:.1f} s")


def _compare(
    loaded: LoadedSpec,
    progress: _Progress,
    restored: Restored,
    source: Source,
    golden: Mapping[str, Queries],
    tell: OnEvent,
) -> None:
    if source.problem:
        progress.notes.append(f"the source's own answers were not compared: {source.problem}")
    for wanted in progress.manifest.collections:
        tell(f"comparing {wanted.name}")
        seen = inspect(
            loaded, restored, wanted, source, golden.get(wanted.name), seed=progress.manifest.id
        )
        progress.scores.append(seen.score)
        progress.notes.extend(seen.notes)


def _choose(catalog: Catalog, cluster: str, backup: str) -> tuple[BackupManifest, list[str]]:
    """The manifest to restore, and what has to be said of the choice.

    `latest` is the newest backup of this cluster that can be read; newer ones that can't be are
    named, not skipped in silence.
    """
    if backup != LATEST:
        return catalog.manifest(catalog.resolve(backup)), []
    notes: list[str] = []
    for summary in catalog.summaries():
        if summary.readable and summary.cluster != cluster:
            continue
        try:
            return catalog.manifest(summary.id), notes
        except ManifestUnreadable as error:
            notes.append(f"a newer backup could not be used: {error.message}")
    raise BackupNotFound(
        f"{catalog.store.url} has no backup of `{cluster}` that can be read"
        + "".join(f"; {note}" for note in notes),
        hint="kitestring backup create",
        subject=cluster,
    )


def _vector_indexes(collection: CollectionBackup) -> list[str]:
    vectors = {field.name for field in collection.schema.vectors}
    return [index.name for index in collection.indexes if index.field in vectors]


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "the drill was interrupted"
    if isinstance(error, KitestringError):
        return f"the drill could not be carried out: {error.message}"
    return f"the drill ended with an internal error: {type(error).__name__}: {error}"


def _now() -> int:
    return int(time.time() * 1000)
