"""A restore drill: restore a backup to a target of its own, and measure what it is worth.

Once there is a target, the record is written whatever happens, and the target is torn down
whatever happens.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kitestring.backup.catalog import LATEST, Catalog, open_catalog
from kitestring.backup.drill_history import new_drill_id, open_history
from kitestring.backup.interrupts import shielded, stoppable
from kitestring.backup.restore import restore
from kitestring.backup.restore.access import access_differences
from kitestring.backup.restore.choose import pick
from kitestring.backup.restore.selection import sampled, with_content
from kitestring.drill.golden import golden_queries
from kitestring.drill.inspect import inspect
from kitestring.drill.judge import rto_seconds
from kitestring.drill.progress import Progress, now, reason
from kitestring.drill.source import Source, open_source
from kitestring.drill.space import Kept, Own, Space
from kitestring.drill.target import discard, new_folder
from kitestring.errors import (
    BackupDamaged,
    DrillRefused,
    ManifestUnreadable,
    MilvusError,
    ObjectMissing,
    RestoreIncomplete,
    SegmentUnreadable,
    ServerUnreachable,
    SpecInvalid,
    UsageError,
)
from kitestring.manifests.drill_target import new_namespace
from kitestring.model.drill import DrillRecord
from kitestring.recall.probe import Queries
from kitestring.spec.loaded import LoadedSpec

if TYPE_CHECKING:
    from kitestring.drill.standing import Standing

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


@dataclass(frozen=True, slots=True)
class _Plan:
    catalog: Catalog
    folder: Path  # of an embedded target
    space: Space | None  # of one on Kubernetes
    given: LoadedSpec | None  # the spec of another target
    keep: bool
    tell: OnEvent


def run_drill(
    loaded: LoadedSpec,
    *,
    backup: str = LATEST,
    at: int | None = None,
    sample: float | None = None,
    target: LoadedSpec | None = None,
    on_kubernetes: bool = False,
    namespace: str | None = None,
    keep_target: bool = False,
    on_event: OnEvent | None = None,
) -> DrillRecord:
    """Restores a backup into a server that is not the source; measures RPO, RTO and answers.

    Args:
        backup: an id, or `latest` for the newest backup that can be read.
        at: ms since the epoch: the newest backup whose boundary is not later.
        sample: restore segments with at least this part of the rows (0 to 1), not all.
        target: the spec of the cluster to restore to; None for a second embedded server.
        on_kubernetes: restore to a server that is made from the spec's `deployment`.
        namespace: of that server: one kept for drills; None for one that is made and deleted.
        keep_target: leave the restored copy; a note of the record says where.
        on_event: told what is being done, a line at a time.

    Returns:
        The record, which is in the history too. `passed` is false when an objective is missed or
        the backup turns out not to restore.

    Raises:
        BackupNotFound, ManifestUnreadable: there is nothing to restore; no record.
        DrillRefused, SpecInvalid, UsageError: it was asked for what can't be; no record.
        LocalError, StoreUnreachable, …: the drill could not be carried out; its record says so.
    """
    if sample is not None and not 0 < sample <= 1:
        raise UsageError(f"a sample of {sample:g} is no part: more than 0, at most 1")
    if on_kubernetes and target is not None:
        raise UsageError("a drill has one target: name a spec, or Kubernetes")
    tell = on_event or (lambda _line: None)
    history = open_history(loaded)
    history.check_writable()
    catalog = open_catalog(loaded)
    manifest, notes = pick(catalog, loaded.spec.cluster.name, backup, at)
    drill_id = new_drill_id(datetime.now(UTC))
    progress = Progress(manifest, now(), notes=list(notes))
    space: Space | None = None
    if on_kubernetes:
        space = Kept(namespace, loaded.spec.cluster.name) if namespace else Own(new_namespace())
    plan = _Plan(catalog, new_folder(), space, target, keep_target, tell)

    refused = False

    def cut() -> None:
        progress.failed = True
        progress.notes.append("the drill was interrupted, and had to be cut off")
        _discard(loaded, plan)
        history.write(progress.record(loaded, drill_id))

    with stoppable(cut):
        try:
            if sample is not None and sample < 1:
                tell("drawing a sample of the segments")
                progress.manifest, progress.sampled = sampled(catalog, manifest, sample)
            _carry_out(loaded, progress, plan)
        except ServerUnreachable as error:  # the target died: that says nothing of the backup
            progress.failed = True
            progress.notes.append(reason(error))
            raise
        except (DrillRefused, SpecInvalid, UsageError):  # nothing was tried: no evidence
            refused = True
            raise
        except EVIDENCE as error:
            progress.failed = True
            what = "could not be compared" if progress.restored else "did not restore"
            progress.notes.append(f"the backup {what}: {error.message}")
        except BaseException as error:
            progress.failed = True
            progress.notes.append(reason(error))
            raise
        finally:
            if not refused:
                with shielded():
                    record = progress.record(loaded, drill_id)
                    history.write(record)
    return record


def _carry_out(loaded: LoadedSpec, progress: Progress, plan: _Plan) -> None:
    manifest, tell = progress.manifest, plan.tell
    tell(f"backup {manifest.id}: {manifest.rows:,} rows")
    golden = golden_queries(loaded, manifest, progress.notes)
    own = plan.given is None and plan.space is None
    tell("starting a second server" if own else "preparing the target")
    begun = time.monotonic()
    with _stand(loaded, progress, plan) as standing:
        progress.phases["target"] = time.monotonic() - begun
        progress.version, progress.target = standing.server.version(), standing.kind
        _restore(progress, standing, plan)
        with open_source(loaded) as source:
            if progress.sampled is not None:
                source = Source(None, "a sample can't give the answers of the whole")
            _compare(loaded, progress, standing, source, golden, plan)
        if standing.left:
            progress.notes.append(standing.left)
    tell(standing.left or "the target is torn down")


def _stand(loaded: LoadedSpec, progress: Progress, plan: _Plan) -> AbstractContextManager[Standing]:
    from kitestring.drill.given import given  # pymilvus takes seconds
    from kitestring.drill.standing import embedded

    if plan.space is not None:
        from kitestring.drill.deployed import deployed

        return deployed(loaded, plan.space, progress.manifest, keep=plan.keep, tell=plan.tell)
    if plan.given is not None:
        return given(loaded, plan.given, progress.manifest, keep=plan.keep)
    return embedded(loaded, plan.folder, progress.manifest.bytes, keep=plan.keep)


def _discard(loaded: LoadedSpec, plan: _Plan) -> None:
    """For a drill that is cut off: its target goes, without waiting for it."""
    if plan.space is not None:
        from kitestring.drill.deployed import discard as discard_deployed

        discard_deployed(loaded, plan.space)
    discard(plan.folder)


def _restore(progress: Progress, standing: Standing, plan: _Plan) -> None:
    """Restores; the phases are those of the restore, and add up to the time that passed."""

    def timed(name: str, seconds: float) -> None:
        progress.phases[name] = seconds
        plan.tell(f"{name}: {seconds:.1f} s")

    manifest = progress.manifest
    wanted = manifest.access if standing.access else None
    users = wanted.users if wanted else {}
    result = restore(
        plan.catalog,
        manifest,
        standing.target,
        access=wanted is not None,
        # a backup holds no passwords, and nobody logs in here: who may do what can be compared
        passwords={user: f"Kd-{secrets.token_hex(12)}" for user in users},
        on_phase=timed,
        tell=plan.tell,
    )
    progress.restored = True
    progress.notes.extend((*result.notes, *result.not_restored))
    progress.answered = result.answer_seconds is not None
    if not any(c.loaded for c in manifest.collections):
        progress.notes.append("no collection of the backup was loaded: there was nothing to ask")
        progress.answered = True
    if wanted is not None and standing.target.admin is not None:
        progress.differences = tuple(access_differences(standing.target.admin, wanted))
    elif manifest.access is not None:
        progress.notes.append("users, roles and grants were not compared: the target has others")
    if progress.answered:
        plan.tell(f"first right answer after {rto_seconds(progress.phases):.1f} s")


def _compare(
    loaded: LoadedSpec,
    progress: Progress,
    standing: Standing,
    source: Source,
    golden: Mapping[str, Queries],
    plan: _Plan,
) -> None:
    if source.problem:
        progress.notes.append(f"the source's own answers were not compared: {source.problem}")
    for backup in progress.manifest.collections:
        plan.tell(f"comparing {backup.name}")
        wanted = with_content(plan.catalog, progress.manifest, backup)
        seen = inspect(
            loaded,
            standing.target,
            wanted,
            source,
            golden.get(wanted.name),
            seed=progress.manifest.id,
        )
        progress.scores.append(seen.score)
        progress.notes.extend(seen.notes)
