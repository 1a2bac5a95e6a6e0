"""A restore as a user asks for it: from the catalog of one spec to the cluster of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kitestring.backup.catalog import LATEST, Catalog, open_catalog
from kitestring.backup.drill_history import open_history
from kitestring.backup.restore.access import read_passwords
from kitestring.backup.restore.choose import parse_instant, pick
from kitestring.backup.restore.naming import check_name
from kitestring.backup.restore.plan import Wanted, plan_restore
from kitestring.backup.restore.run import restore
from kitestring.backup.restore.target import open_target
from kitestring.errors import DrillRecordUnreadable, UsageError
from kitestring.model.backup import BackupManifest
from kitestring.model.drill import DrillRecord
from kitestring.model.restore import RestorePlan, RestoreResult
from kitestring.spec.loaded import LoadedSpec


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line says. One of `backup` and `at` is given."""

    backup: str | None = None
    at: str | None = None
    collections: Sequence[str] = ()
    partitions: Sequence[str] = ()
    renames: Sequence[str] = ()  # OLD=NEW
    prefix: str = ""
    database: str | None = None
    aliases: bool = True
    access: bool | None = None
    passwords: Path | None = None
    overwrite: bool = False

    def wanted(self) -> Wanted:
        """Raises UsageError for what does not go together."""
        return Wanted(
            collections=tuple(self.collections) or None,
            partitions=tuple(self.partitions),
            rename=parse_renames(self.renames),
            prefix=self.prefix,
            aliases=self.aliases,
            access=self.access,
            passwords=read_passwords(self.passwords) if self.passwords else {},
            overwrite=self.overwrite,
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """A request whose backup was found."""

    source: LoadedSpec
    target: LoadedSpec
    catalog: Catalog
    manifest: BackupManifest
    wanted: Wanted
    database: str | None = None
    notes: tuple[str, ...] = field(default=())

    def plan(self) -> RestorePlan:
        """What would be done; changes nothing."""
        with open_target(self.target, self.database, create=False) as target:
            return plan_restore(
                self.catalog, self.manifest, target, self.wanted, _history(self.source)
            )

    def carry_out(
        self,
        on_phase: Callable[[str, float], None] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> RestoreResult:
        """Restores."""
        properties: Mapping[str, str] = self.manifest.database_properties
        backup = self.source.spec.backup
        wanted = self.wanted
        with open_target(self.target, self.database, properties=properties) as target:
            return restore(
                self.catalog,
                self.manifest,
                target,
                collections=wanted.collections,
                partitions=wanted.partitions,
                rename=wanted.rename,
                prefix=wanted.prefix,
                aliases=wanted.aliases,
                access=wanted.access,
                passwords=wanted.passwords,
                overwrite=wanted.overwrite,
                budget=backup.budget if backup else None,
                on_phase=on_phase,
                tell=tell,
            )


def open_request(source: LoadedSpec, target: LoadedSpec, request: Request) -> Opened:
    """Finds the backup of a request.

    Raises:
        UsageError: no backup is named, or two ways of naming one.
        BackupNotFound, ManifestUnreadable.
    """
    if (request.backup is None) == (request.at is None):
        raise UsageError(
            "name one backup: its id, `latest`, or an instant with --at",
            hint="`kitestring backup list` shows them",
        )
    wanted = request.wanted()
    if request.database is not None:
        check_name("database", request.database)
    at = parse_instant(request.at) if request.at is not None else None
    catalog = open_catalog(source)
    manifest, notes = pick(
        catalog, source.spec.cluster.name, LATEST if request.backup is None else request.backup, at
    )
    return Opened(source, target, catalog, manifest, wanted, request.database, notes)


def parse_renames(renames: Sequence[str]) -> dict[str, str]:
    """`old=new` pairs as a dict.

    Raises:
        UsageError: one is not of that form, or a name is there twice.
    """
    found: dict[str, str] = {}
    for text in renames:
        old, sign, new = text.partition("=")
        if not (old and sign and new):
            raise UsageError(f"`--rename {text}` is not of the form OLD=NEW")
        if old in found:
            raise UsageError(f"`--rename` names `{old}` twice")
        found[old] = new
    return found


def _history(loaded: LoadedSpec) -> list[DrillRecord]:
    """The drills that can be read, newest first: an estimate needs no more."""
    history = open_history(loaded)
    found = []
    for drill_id in history.ids():
        try:
            found.append(history.record(drill_id))
        except DrillRecordUnreadable:
            continue
    return found
