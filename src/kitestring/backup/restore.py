"""Restores a backup: copies its objects to where the server can read them, and bulk-imports them.

A restore makes whole collections or none: what fails or is interrupted is dropped again, and the
staged files are removed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from kitestring.backup.batches import Batch, plan_batches
from kitestring.backup.catalog import Catalog
from kitestring.backup.interrupts import shielded, stoppable
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.milvus.waiting import wait_until
from kitestring.clients.store.protocol import ObjectStore, join
from kitestring.errors import (
    BackupDamaged,
    KitestringError,
    MilvusError,
    ObjectMissing,
    RestoreIncomplete,
    RestoreRefused,
)
from kitestring.model.backup import BackupManifest, CollectionBackup, StoredObject

OnPhase = Callable[[str, float], None]
STAGING = "kitestring-restore"  # below the root path of the target's store
_THREADS = 8
_IMPORT_TIMEOUT = 3600.0  # seconds without one task getting done
_INDEX_TIMEOUT = 6 * 3600.0
_SETTLED = 10.0  # seconds after which a finished index covers no more rows
_LOAD_TIMEOUT = 3600.0


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """A server, and the store that it keeps its segments in, with its root path in it.

    A `disposable` server is removed by who started it: a restore that fails leaves it as it is,
    which ends an interrupted drill at once.
    """

    milvus: Milvus
    store: ObjectStore
    root: str = ""
    disposable: bool = False


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What was restored. Seconds are by phase (see `kitestring.model.drill.PHASES`)."""

    collections: Mapping[str, str]  # name in the backup -> name on the target
    rows: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what is not as it was, in words


def restore(
    catalog: Catalog,
    manifest: BackupManifest,
    target: RestoreTarget,
    *,
    collections: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    prefix: str = "",
    aliases: bool = True,
    overwrite: bool = False,
    on_phase: OnPhase | None = None,
) -> RestoreResult:
    """Restores collections with their rows, indexes, load state and aliases.

    Args:
        collections: names in the backup; None for all.
        rename: name in the backup -> name on the target.
        prefix: put before the names that are not in `rename`.
        aliases: create the aliases too; one that another collection has stays where it is, and
            a note says so.
        overwrite: replace a collection of the same name. It is restored beside the old one, which
            goes once the new one is whole; the old one's aliases move to the new one.
        on_phase: told the name and seconds of each phase that is over.

    Raises:
        RestoreRefused: a precondition does not hold; nothing was changed.
        BackupDamaged: an object is missing or changed; nothing is left of the restore.
        RestoreIncomplete: rows are missing after the import; nothing is left of the restore.
        MilvusError, StoreError: nothing is left of the restore.
    """
    wanted = _wanted(manifest, collections, rename or {})
    final = {c.name: (rename or {}).get(c.name, prefix + c.name) for c in wanted}
    run = _Run(catalog, manifest, target, on_phase or (lambda _name, _seconds: None))
    named = run.check(final, overwrite)
    with stoppable(), run.clean_up():
        run.copy(wanted)
        run.import_rows(wanted, named)
        run.index(wanted, named)
        run.load(wanted, named)
        run.confirm(wanted, named)
        run.replace(final, named)
        if aliases:
            run.aliases(wanted, final)
    return RestoreResult(final, sum(c.digest.rows for c in wanted), run.seconds, tuple(run.notes))


class _Run:
    """One restore."""

    def __init__(
        self, catalog: Catalog, manifest: BackupManifest, target: RestoreTarget, told: OnPhase
    ) -> None:
        self.pool, self.manifest, self.told = catalog.store, manifest, told
        self.milvus, self.store = target.milvus, target.store
        self.disposable = target.disposable
        # a folder of its own for each run: two restores of one backup don't meet
        self.staging = join(target.root, STAGING, f"{manifest.id}-{time.time_ns():x}")
        self.batches: dict[str, list[Batch]] = {}
        self.created: list[str] = []
        self.staged: list[str] = []
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []

    def check(self, final: Mapping[str, str], overwrite: bool) -> dict[str, str]:
        """Preconditions; changes nothing. Returns the names to restore under, which are others
        than the final ones where a collection is to be replaced."""
        twice = sorted({n for n in final.values() if list(final.values()).count(n) > 1})
        if twice:
            raise RestoreRefused(f"two collections would both be restored as `{twice[0]}`")
        named = dict(final)
        for backed_up, name in final.items():
            owner = self.milvus.alias_owner(name)
            if owner is not None:
                raise RestoreRefused(
                    f"`{name}` is an alias of `{owner}` on the target",
                    hint="restore to another name with --rename",
                    subject=name,
                )
            if not self.milvus.has_collection(name):
                continue
            named[backed_up] = f"{name[:230]}_restoring_{secrets.token_hex(4)}"
            if not overwrite:
                raise RestoreRefused(
                    f"the target has a collection `{name}` already; nothing was changed",
                    hint="restore to another name with --rename, or replace it with --overwrite",
                    subject=name,
                )
        return named

    @contextmanager
    def clean_up(self) -> Iterator[None]:
        """Removes the staged files always, and half-made collections when the block fails."""
        try:
            yield
        except BaseException:
            if self.disposable:
                raise
            with shielded():
                self._remove_staged()
                for name in self.created:
                    self._best_effort(lambda name=name: self._drop(name))  # type: ignore[misc]
            raise
        with shielded():
            self._remove_staged()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun
        self.told(name, self.seconds[name])

    def copy(self, wanted: Sequence[CollectionBackup]) -> None:
        """Brings the insert and delta logs into the staging folder, each checked."""
        self.batches = {c.name: plan_batches(c) for c in wanted}
        moves = [
            (stored, f"{self.staging}/{key}")
            for batches in self.batches.values()
            for batch in batches
            for key, stored in batch.objects.items()
        ]
        with self.phase("copy"), ThreadPoolExecutor(_THREADS, "restore") as executor:
            try:
                self.staged = [key for _, key in moves]
                for _ in executor.map(self._stage, moves):
                    pass
            except BaseException:
                executor.shutdown(wait=True, cancel_futures=True)
                raise

    def _stage(self, move: tuple[StoredObject, str]) -> None:
        stored, key = move
        try:
            found = self.store.copy_from(self.pool, stored.key, key)
        except ObjectMissing as error:
            raise BackupDamaged(
                f"the backup {self.manifest.id} is damaged: {error.message}",
                hint="restore another backup; `kitestring backup verify` checks them",
                subject=stored.key,
            ) from None
        if found != (stored.size, stored.sha256):
            raise BackupDamaged(
                f"the backup {self.manifest.id} is damaged: the object {stored.key} is not what "
                "was backed up",
                hint="restore another backup; `kitestring backup verify` checks them",
                subject=stored.key,
            )

    def import_rows(self, wanted: Sequence[CollectionBackup], named: Mapping[str, str]) -> None:
        with self.phase("import"):
            tasks: dict[int, str] = {}
            for backup in wanted:
                name = named[backup.name]
                self.created.append(name)
                self.milvus.create_collection(
                    name,
                    backup.schema,
                    shards=backup.shards,
                    properties=backup.properties,
                    partitions=() if _by_key(backup) else backup.partitions,
                    consistency=backup.consistency or "Bounded",
                )
                for batch in self.batches[backup.name]:
                    paths = [self.store.server_path(join(self.staging, p)) for p in batch.prefixes]
                    task = self.milvus.start_import(
                        name, batch.partition, paths, until=self.manifest.boundary
                    )
                    tasks[task] = name
            self._await(tasks)

    def _await(self, tasks: Mapping[int, str]) -> None:
        left = dict(tasks)

        def done() -> bool:
            for task, name in list(left.items()):
                state = self.milvus.import_state(task)
                if state.failed:
                    raise MilvusError(
                        f"the server could not import a segment into `{name}`: {state.reason}",
                        hint="nothing is left of this restore",
                        subject=name,
                    )
                if state.done:
                    del left[task]
            return not left

        if tasks:
            wait_until(done, timeout=_IMPORT_TIMEOUT, what="the import", longest=0.5)

    def index(self, wanted: Sequence[CollectionBackup], named: Mapping[str, str]) -> None:
        with self.phase("index"):
            for backup in wanted:
                for index in backup.indexes:
                    self.milvus.create_index(named[backup.name], index)
            for backup in wanted:
                if backup.indexes:
                    self._await_index(backup, named[backup.name])

    def _await_index(self, backup: CollectionBackup, name: str) -> None:
        short: list[tuple[int, float]] = []  # the rows that the index covers, and since when

        def built() -> bool:
            states = self.milvus.describe(name).indexes
            failed = [s.index.name for s in states if s.state == "Failed"]
            if failed:
                raise MilvusError(f"the server could not build the index `{failed[0]}` of `{name}`")
            if len(states) != len(backup.indexes) or any(
                s.state != "Finished" or s.pending_rows for s in states
            ):
                short.clear()
                return False
            rows = min(s.total_rows for s in states)
            if rows >= backup.digest.rows:
                return True
            # an import may be counted late; rows that are not in the backup never are
            if not short or short[-1][0] != rows:
                short.append((rows, time.monotonic()))
            elif time.monotonic() - short[-1][1] > _SETTLED:
                raise RestoreIncomplete(
                    f"`{name}` has {rows:,} rows, not {backup.digest.rows:,}",
                    hint="nothing is left of this restore; `kitestring backup verify --tier full` "
                    "tells whether the backup is whole",
                )
            return False

        wait_until(built, timeout=_INDEX_TIMEOUT, what=f"the index of `{name}`", longest=0.5)

    def load(self, wanted: Sequence[CollectionBackup], named: Mapping[str, str]) -> None:
        """Loads after the index is built: what is loaded before answers by exact search for a
        while, and a drill would measure that."""
        loaded = [c for c in wanted if c.loaded]
        with self.phase("load"):
            for backup in loaded:
                self._load(named[backup.name], max(1, backup.replicas))
            for backup in loaded:
                name = named[backup.name]
                wait_until(
                    lambda name=name: self.milvus.describe(name).loaded,
                    timeout=_LOAD_TIMEOUT,
                    what=f"the loading of `{name}`",
                    longest=0.5,
                )

    def _load(self, name: str, replicas: int) -> None:
        try:
            self.milvus.load(name, replicas=replicas, wait=False)
        except MilvusError:
            if replicas == 1:
                raise
            self.milvus.load(name, replicas=1, wait=False)  # a smaller target: one answers too
            self.notes.append(
                f"`{name}` is loaded with 1 replica, not {replicas}: the target has too few "
                "query nodes"
            )

    def confirm(self, wanted: Sequence[CollectionBackup], named: Mapping[str, str]) -> None:
        """Compares the rows of the target with the manifest's."""
        short = []
        for backup in wanted:
            name = named[backup.name]
            rows = self.milvus.count(name) if backup.loaded else self._stored(name)
            if rows != backup.digest.rows:
                short.append(f"`{name}` has {rows:,} rows, not {backup.digest.rows:,}")
        if short:
            raise RestoreIncomplete(
                "; ".join(short),
                hint="nothing is left of this restore; `kitestring backup verify --tier full` "
                "tells whether the backup is whole",
            )

    def _stored(self, name: str) -> int:
        return sum(s.rows for s in self.milvus.segments(name) if s.state == "Flushed")

    def replace(self, final: Mapping[str, str], named: Mapping[str, str]) -> None:
        """Puts what was restored beside an old collection in its place."""
        for backed_up, name in final.items():
            beside = named[backed_up]
            if beside == name:
                continue
            for alias in self.milvus.describe(name).aliases:
                self.milvus.move_alias(beside, alias)
            # from here on the restored collection is the only one: it must not be cleaned up
            self.created.remove(beside)
            try:
                self.milvus.drop_collection(name)
                self.milvus.rename_collection(beside, name)
            except MilvusError as error:
                raise RestoreIncomplete(
                    f"`{name}` was restored as `{beside}`, but could not take its place: "
                    f"{error.message}",
                    hint=f"rename `{beside}` to `{name}`",
                    subject=name,
                ) from error

    def aliases(self, wanted: Sequence[CollectionBackup], named: Mapping[str, str]) -> None:
        for backup in wanted:
            for alias in backup.aliases:
                owner = self.milvus.alias_owner(alias)
                if owner is None and not self.milvus.has_collection(alias):
                    self.milvus.create_alias(named[backup.name], alias)
                elif owner != named[backup.name]:
                    self.notes.append(
                        f"the alias `{alias}` was not restored: it is taken by "
                        f"`{owner or alias}` on the target"
                    )

    def _drop(self, name: str) -> None:
        if self.milvus.has_collection(name):
            self.milvus.drop_collection(name)

    def _remove_staged(self) -> None:
        for key in self.staged:
            self._best_effort(lambda key=key: self.store.delete(key))  # type: ignore[misc]

    def _best_effort(self, act: Callable[[], None]) -> None:
        """Cleaning up must not hide why it came to it."""
        try:
            act()
        except KitestringError as error:
            self.notes.append(f"could not clean up: {error.message}")


def _by_key(backup: CollectionBackup) -> bool:
    """Whether the server makes the partitions itself, from a partition key."""
    return any(f.partition_key for f in backup.schema.fields)


def _wanted(
    manifest: BackupManifest, names: Sequence[str] | None, rename: Mapping[str, str]
) -> list[CollectionBackup]:
    there = {c.name: c for c in manifest.collections}
    unknown = [n for n in [*(names or ()), *rename] if n not in there]
    if unknown:
        raise RestoreRefused(
            f"the backup {manifest.id} has no collection `{unknown[0]}`",
            hint=f"it has {', '.join(there)}",
            subject=unknown[0],
        )
    return [c for n, c in there.items() if names is None or n in names]
