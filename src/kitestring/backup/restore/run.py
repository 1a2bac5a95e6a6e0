"""The restore itself, phase by phase."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from kitestring.backup.catalog import Catalog
from kitestring.backup.interrupts import shielded, stoppable
from kitestring.backup.restore import rows, serving
from kitestring.backup.restore.access import access_differences, renamed, restore_access
from kitestring.backup.restore.answer import first_answer
from kitestring.backup.restore.differences import definition_differences
from kitestring.backup.restore.naming import REPLACED, Names, left_beside
from kitestring.backup.restore.plan import Prepared, Wanted, prepare
from kitestring.backup.restore.stage import Staging
from kitestring.backup.restore.swap import put_back, take_place
from kitestring.backup.restore.target import RestoreTarget
from kitestring.clients.store.throttle import Throttle, budgeted
from kitestring.errors import KitestringError, MilvusError, RestoreIncomplete
from kitestring.model.backup import BackupManifest, CollectionBackup
from kitestring.model.restore import RestoreResult, answer_seconds
from kitestring.spec.backup import Budget

OnPhase = Callable[[str, float], None]
FIRST_ANSWER = 60.0  # seconds until a loaded collection has to answer


def restore(
    catalog: Catalog,
    manifest: BackupManifest,
    target: RestoreTarget,
    *,
    collections: Sequence[str] | None = None,
    partitions: Sequence[str] = (),
    rename: Mapping[str, str] | None = None,
    prefix: str = "",
    aliases: bool = True,
    access: bool | None = None,
    passwords: Mapping[str, str] | None = None,
    overwrite: bool = False,
    budget: Budget | Throttle | None = None,
    on_phase: OnPhase | None = None,
    tell: Callable[[str], None] | None = None,
) -> RestoreResult:
    """Restores collections with their rows, indexes, load state, aliases, and who may use them.

    A collection answers by exact search as soon as it is loaded, while its index is being built;
    both instants are measured. One that replaces another is restored beside it, and takes its
    place, aliases and all, once its index is ready.

    Args:
        collections, partitions, rename, prefix, aliases, access, passwords, overwrite: see
            `kitestring.backup.restore.plan.Wanted`.
        budget: what the copy may take of the stores.
        on_phase: told the name and seconds of each phase that is over.
        tell: told what is being done, a line at a time.

    Returns:
        What was restored; `not_restored` names what was not.

    Raises:
        RestoreRefused: a precondition does not hold; nothing was changed.
        SealKeyMissing, WrongKey: what is sealed does not open; nothing is left of the restore.
        BackupDamaged: an object is missing or changed; nothing is left of the restore.
        RestoreIncomplete: rows are missing after the import; nothing is left of the restore.
        MilvusError, StoreError: nothing is left of the restore.
    """
    wanted = Wanted(
        collections=collections,
        partitions=tuple(partitions),
        rename=rename or {},
        prefix=prefix,
        aliases=aliases,
        access=access,
        passwords=passwords or {},
        overwrite=overwrite,
    )
    catalog.check_openable(manifest)
    ready = prepare(catalog, manifest, target, wanted)
    run = _Run(catalog, manifest, target, wanted, ready, budget)
    run.told, run.tell = on_phase or run.told, tell or run.tell
    with stoppable(), run.clean_up():
        run.copy()
        run.bring_in()
        run.load()
        run.answer()
        run.index()
        run.replace()
    run.compare()
    return run.result()


class _Run:
    """One restore."""

    def __init__(
        self,
        catalog: Catalog,
        manifest: BackupManifest,
        target: RestoreTarget,
        wanted: Wanted,
        ready: Prepared,
        budget: Budget | Throttle | None,
    ) -> None:
        self.pool, self.manifest, self.target = catalog.store, manifest, target
        self.milvus, self.wanted, self.ready = target.milvus, wanted, ready
        self.collections, self.names = ready.collections, ready.names
        store = None if target.store is None else budgeted(target.store, budget)
        self.staging = Staging(catalog.store, store, target.root, manifest)
        self.undo: list[Callable[[], None]] = []
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = list(ready.notes)
        self.lost: list[str] = []  # what is not restored
        self.answered = False
        self.told: OnPhase = lambda _name, _seconds: None
        self.tell: Callable[[str], None] = lambda _line: None
        self._mark = time.monotonic()

    def copy(self) -> None:
        self.staging.sweep()
        for name in sorted(self.names.replaced):
            if done := put_back(self.milvus, name):
                self.notes.append(done)
        self.staging.fill(self.collections)
        self._over("copy")

    def bring_in(self) -> None:
        tasks: dict[int, str] = {}
        for backup, name in self._made():
            rows.create(self.milvus, backup, name)
            self.undo.append(partial(self._drop, name))
            if backup.parts:
                rows.restore_parquet(self.pool, backup, self.target, name, self.tell)
            tasks |= rows.start_imports(
                self.milvus, self.staging, backup, name, self.manifest.boundary
            )
        rows.await_imports(self.milvus, tasks)
        self._take_names()
        self._over("import")

    def _take_names(self) -> None:
        """Gives each collection its name, but for those that replace another one."""
        for backup, made in self._made():
            name = self.names.final[backup.name]
            if name == made or name in self.names.replaced:
                continue
            with shielded():
                self.milvus.rename_collection(made, name)
                named = {**self.names.made, backup.name: name}
                self.names = Names(self.names.final, named, self.names.replaced)
                self.undo = [act for act in self.undo if _argument(act) != made]
                self.undo.append(partial(self._drop, name))

    def load(self) -> None:
        for backup, name in self._made():
            serving.ask_for_indexes(self.milvus, backup, name)
        for backup, name in self._made(loaded=True):
            self._lose(serving.start_loading(self.milvus, backup, name))
        for _, name in self._made(loaded=True):
            serving.await_loaded(self.milvus, name)
        self._over("load")

    def answer(self) -> None:
        """Rows are counted before an alias leads anybody to them, or a user may log in."""
        for backup, name in self._made():
            serving.confirm(self.milvus, backup, name)
        for backup, name in self._made():
            if name == self.names.final[backup.name]:
                self._aliases(backup, name)
        self._access()
        asked = self._made(loaded=True)
        self.answered = bool(asked)
        for backup, name in asked:
            if not first_answer(self.milvus, name, backup, FIRST_ANSWER):
                self.answered = False
                self._lose(f"`{name}` gave no right answer within {FIRST_ANSWER:g} s")
        self._over("first_answer")

    def index(self) -> None:
        for backup, name in self._made():
            serving.await_indexes(self.milvus, backup, name)
        for backup, name in self._made(loaded=True):
            self._lose(serving.await_taken_up(self.milvus, backup, name))
        self._over("index")

    def replace(self) -> None:
        """Puts what was restored beside old collections in their place."""
        for backup, made in self._made():
            name = self.names.final[backup.name]
            if name == made:
                continue
            try:
                for problem in take_place(self.milvus, made, name, backup.aliases):
                    self._lose(problem)
            except MilvusError as error:
                raise RestoreIncomplete(
                    f"`{name}` could not be replaced, and is as it was: {error.message}",
                    hint="restore to another name with --rename, then move the aliases",
                    subject=name,
                ) from error
            # from here on it is the only one: it must not be cleaned up
            self.undo = [act for act in self.undo if _argument(act) != made]
            self._aliases(backup, name)

    def compare(self) -> None:
        """Reads the definitions again, once all is done."""
        for backup in self.collections:
            name = self.names.final[backup.name]
            self.notes.extend(
                f"the collection that an earlier restore of `{name}` replaced is left as "
                f"`{left}`: drop it"
                for left in left_beside(self.milvus, name, REPLACED)
            )
            owned = [a for a in backup.aliases if self.milvus.alias_owner(a) == name]
            found = definition_differences(backup, self.milvus.describe(name), owned)
            for difference in found:
                alias = difference.text.startswith("alias ")
                if not difference.extra and not (alias and not self._asks_for_aliases(backup)):
                    self._lose(f"{name}: {difference}")
        admin = self.target.admin
        if self.ready.access is not None and admin is not None:
            said = "\n".join(self.lost)
            for text in access_differences(admin, renamed(self.ready.access, self.names.final)):
                if text.partition(" is not restored")[0] not in said:
                    self._lose(text)

    def result(self) -> RestoreResult:
        return RestoreResult(
            collections=dict(self.names.final),
            rows=sum(c.digest.rows for c in self.collections),
            seconds=dict(self.seconds),
            notes=tuple(self.notes),
            not_restored=tuple(self.lost),
            answer_seconds=answer_seconds(self.seconds) if self.answered else None,
            full_seconds=sum(self.seconds.values()),
            database=self.target.database,
        )

    @contextmanager
    def clean_up(self) -> Iterator[None]:
        """Removes the staged files always, and what was made when the block fails."""
        try:
            yield
        except BaseException:
            if self.target.disposable:
                raise
            with shielded():
                self.notes.extend(self.staging.remove())
                for act in reversed(self.undo):
                    self._best_effort(act)
            raise
        with shielded():
            self.notes.extend(self.staging.remove())

    def _made(self, *, loaded: bool = False) -> list[tuple[CollectionBackup, str]]:
        """The collections, under the names that they are restored under."""
        return [
            (backup, self.names.made[backup.name])
            for backup in self.collections
            if backup.loaded or not loaded
        ]

    def _asks_for_aliases(self, backup: CollectionBackup) -> bool:
        return self.wanted.aliases and bool(backup.aliases)

    def _aliases(self, backup: CollectionBackup, name: str) -> None:
        """Creates the aliases that are free; `compare` names the others."""
        for alias in backup.aliases if self.wanted.aliases else ():
            owner = self.milvus.alias_owner(alias)
            if owner is None and not self.milvus.has_collection(alias):
                self.milvus.create_alias(name, alias)
                self.undo.append(partial(self.milvus.drop_alias, alias))
            elif owner != name:
                self.notes.append(
                    f"the alias `{alias}` was not restored: it is taken by `{owner or alias}` on "
                    "the target; --no-aliases leaves aliases out"
                )

    def _access(self) -> None:
        if self.ready.access is None:
            return
        if self.target.admin is None:
            self._lose("users, roles and grants: the target can't be asked for them")
            return
        wanted = renamed(self.ready.access, self.names.final)
        done = restore_access(self.target.admin, wanted, self.wanted.passwords)
        self.undo.extend(done.undo)
        for text in done.not_restored:
            self._lose(text)

    def _lose(self, text: str) -> None:
        if text and text not in self.lost:
            self.lost.append(text)

    def _over(self, phase: str) -> None:
        """Ends a phase: they follow each other without a gap, and add up to the time passed."""
        now = time.monotonic()
        self.seconds[phase] = now - self._mark
        self._mark = now
        self.told(phase, self.seconds[phase])

    def _drop(self, name: str) -> None:
        if self.milvus.has_collection(name):
            self.milvus.drop_collection(name)

    def _best_effort(self, act: Callable[[], None]) -> None:
        """Cleaning up must not hide why it came to it."""
        try:
            act()
        except KitestringError as error:
            self.notes.append(f"could not clean up: {error.message}")


def _argument(act: Callable[[], None]) -> object:
    """The name that an undoing is about."""
    return act.args[0] if isinstance(act, partial) and act.args else None
