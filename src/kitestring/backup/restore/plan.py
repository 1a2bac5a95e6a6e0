"""What a restore is asked to do, whether it can, and what it would take. Changes nothing."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kitestring.backup.batches import plan_batches
from kitestring.backup.catalog import Catalog
from kitestring.backup.restore.access import BUILT_IN_ROLES
from kitestring.backup.restore.estimate import estimate
from kitestring.backup.restore.naming import RESTORING, Names, left_beside, names_for
from kitestring.backup.restore.selection import by_key, chosen, of_partitions
from kitestring.backup.restore.target import RestoreTarget
from kitestring.capacity.calibration import CALIBRATION
from kitestring.capacity.size import IndexSize, field_bytes, index_size
from kitestring.clients.store.protocol import ObjectStore, bare
from kitestring.errors import RestoreRefused
from kitestring.model.backup import AccessBackup, BackupManifest, CollectionBackup
from kitestring.model.drill import DrillRecord
from kitestring.model.restore import PlannedCollection, RestorePlan
from kitestring.render.words import data_size

_SPARE = 64 * 1024 * 1024  # bytes that a store should keep


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks of a restore.

    Args:
        collections: names in the backup; None for all.
        partitions: of those collections; none for all.
        rename: name in the backup -> name on the target.
        prefix: put before the names that are not in `rename`.
        aliases: create the aliases too.
        access: users, roles and grants too; None where all of the backup is restored under its
            own names.
        passwords: of users that are absent on the target.
        overwrite: replace a collection of the same name.
    """

    collections: Sequence[str] | None = None
    partitions: Sequence[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    aliases: bool = True
    access: bool | None = None
    passwords: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False

    @property
    def whole(self) -> bool:
        part = self.collections is not None or self.partitions
        return not (part or self.rename or self.prefix)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A restore whose preconditions hold."""

    collections: tuple[CollectionBackup, ...]
    names: Names
    access: AccessBackup | None  # None: left alone
    notes: tuple[str, ...] = ()


def prepare(
    catalog: Catalog, manifest: BackupManifest, target: RestoreTarget, wanted: Wanted
) -> Prepared:
    """Checks the preconditions.

    Raises:
        RestoreRefused: one does not hold; nothing was changed.
        BackupDamaged: rows of a partition can't be counted.
    """
    names = _present(manifest, wanted)
    if wanted.partitions:
        names = of_partitions(catalog, manifest, names, wanted.partitions)
    if target.store is None and any(c.segments for c in names):
        raise RestoreRefused(
            "the spec of the target does not say where its Milvus keeps its segments: a physical "
            "backup can't be brought there",
            hint="add `storage` to that spec, or restore a logical backup",
            subject=manifest.id,
        )
    free, needed = free_bytes(target.store), sum(_space(names)[:2])
    if free is not None and free < needed + _SPARE:
        raise RestoreRefused(
            f"the restore needs about {data_size(needed)} in the store of the target, "
            f"{data_size(free)} are free",
            hint="free some space, or restore fewer collections with -c",
            subject=manifest.id,
        )
    found = names_for(
        None if target.absent else target.milvus,
        names,
        rename=wanted.rename,
        prefix=wanted.prefix,
        overwrite=wanted.overwrite,
        # nobody asks a server that is removed again
        beside_first=not target.disposable,
    )
    access, notes = _access(manifest, target, wanted)
    return Prepared(tuple(names), found, access, (*notes, *_left(target, found)))


def plan_restore(
    catalog: Catalog,
    manifest: BackupManifest,
    target: RestoreTarget,
    wanted: Wanted,
    history: Sequence[DrillRecord] = (),
) -> RestorePlan:
    """What a restore would do. Raises what it would raise before it changes anything.

    Args:
        history: drills of the past, newest first, to tell the RTO from.
    """
    ready = prepare(catalog, manifest, target, wanted)
    staged, imported, indexed = _space(ready.collections)
    planned = tuple(_planned(c, ready.names, target, wanted) for c in ready.collections)
    roles, users, missing = _access_plan(target, ready.access, wanted)
    return RestorePlan(
        backup=manifest.id,
        method=manifest.method,
        cluster=manifest.cluster,
        boundary=manifest.boundary,
        database=target.database,
        creates_database=target.absent,
        collections=planned,
        roles=roles,
        users=users,
        not_restorable=(*_lost_aliases(ready, planned, wanted), *missing),
        staged_bytes=staged,
        needed_bytes=staged + imported + indexed,
        free_bytes=free_bytes(target.store),
        estimate=estimate(history, sum(c.bytes for c in planned), sum(c.rows for c in planned)),
        notes=ready.notes,
    )


def free_bytes(store: ObjectStore | None) -> int | None:
    """Free bytes where a store is a directory; None where it can't be told."""
    path = getattr(bare(store), "path", None) if store is not None else None
    if not isinstance(path, Path):
        return None
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def memory_of(backup: CollectionBackup) -> int | None:
    """Bytes that a loaded replica takes; None for a type of vector of unknown size."""
    rows = backup.digest.rows
    size = _indexes(backup)
    if size is None:
        return None
    scalars = sum(field_bytes(f)[0] for f in backup.schema.fields if not f.is_vector)
    return math.ceil(CALIBRATION.loaded(size.memory, rows, rows * scalars))


def _present(manifest: BackupManifest, wanted: Wanted) -> list[CollectionBackup]:
    found = chosen(manifest, wanted.collections, wanted.rename)
    if not found:
        raise RestoreRefused(
            f"the backup {manifest.id} has no collection", hint="name another backup"
        )
    return found


def _access(
    manifest: BackupManifest, target: RestoreTarget, wanted: Wanted
) -> tuple[AccessBackup | None, tuple[str, ...]]:
    if wanted.access is False:
        return None, ()
    if manifest.access is None:
        if wanted.access:
            raise RestoreRefused(
                f"the backup {manifest.id} holds no users and roles",
                hint="leave --access out",
                subject=manifest.id,
            )
        return None, ()
    if wanted.access or (wanted.whole and target.admin is not None):
        return manifest.access, ()
    mine = {*manifest.access.users} - {"root"} or {*manifest.access.roles} - {*BUILT_IN_ROLES}
    note = "users, roles and grants are left alone: --access restores them"
    return None, (note,) if mine else ()


def _left(target: RestoreTarget, names: Names) -> Iterator[str]:
    """What killed restores have left, in words."""
    for name in names.final.values() if not target.absent else ():
        for left in left_beside(target.milvus, name, RESTORING):
            yield (
                f"`{left}` is half of `{name}`, of a restore that is at work or was killed: drop "
                "it if none is"
            )


def _planned(
    backup: CollectionBackup, names: Names, target: RestoreTarget, wanted: Wanted
) -> PlannedCollection:
    name = names.final[backup.name]
    aliases = [a for a in backup.aliases if wanted.aliases and _leads_here(target, a, name)]
    return PlannedCollection(
        name=backup.name,
        target=name,
        replaces=name in names.replaced,
        rows=backup.digest.rows,
        bytes=sum(o.size for o in backup.objects),
        partitions=() if by_key(backup.schema) else tuple(p.name for p in backup.partitions),
        indexes=tuple(f"{i.name}: {i.type} {i.metric}".rstrip() for i in backup.indexes),
        aliases=tuple(aliases),
        loaded=backup.loaded,
        replicas=backup.replicas,
        memory=memory_of(backup) if backup.loaded else None,
    )


def _leads_here(target: RestoreTarget, alias: str, name: str) -> bool:
    """Whether an alias is free, or already one of the collection of that name."""
    if target.absent:
        return True
    owner = target.milvus.alias_owner(alias)
    return owner == name or (owner is None and not target.milvus.has_collection(alias))


def _lost_aliases(
    ready: Prepared, planned: Sequence[PlannedCollection], wanted: Wanted
) -> list[str]:
    if not wanted.aliases:
        return []
    return [
        f"alias `{alias}` of `{one.target}`: it leads elsewhere on the target"
        for backup, one in zip(ready.collections, planned, strict=True)
        for alias in backup.aliases
        if alias not in one.aliases
    ]


def _access_plan(
    target: RestoreTarget, access: AccessBackup | None, wanted: Wanted
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Roles and users that would be made, and users that can't be."""
    if access is None:
        return (), (), ()
    if target.admin is None:
        return (), (), ("users, roles and grants: the target can't be asked for them",)
    there = set(target.admin.list_users())
    absent = [user for user in sorted(access.users) if user not in there]
    return (
        tuple(r for r in sorted(access.roles) if r not in BUILT_IN_ROLES or access.roles[r]),
        tuple(u for u in absent if u in wanted.passwords),
        tuple(
            f"user `{u}`: a backup holds no passwords; give one with --user-passwords"
            for u in absent
            if u not in wanted.passwords
        ),
    )


def _space(collections: Sequence[CollectionBackup]) -> tuple[int, int, int]:
    """Bytes that are staged, that the import writes, and that the indexes take on disk."""
    staged = sum(
        stored.size for c in collections for b in plan_batches(c) for stored in b.objects.values()
    )
    parts = sum(p.object.size for c in collections for p in c.parts)
    sizes = [_indexes(c) or IndexSize(0.0) for c in collections]
    return staged + parts, staged + parts, math.ceil(sum(s.memory + s.disk for s in sizes))


def _indexes(backup: CollectionBackup) -> IndexSize | None:
    memory = disk = 0.0
    by_field = {index.field: index for index in backup.indexes}
    for vector in backup.schema.vectors:
        index = by_field.get(vector.name)
        try:
            size = index_size(
                index.type if index else "FLAT",
                index.params if index else {},
                vector,
                backup.digest.rows,
            )
        except KeyError:
            return None
        memory, disk = memory + size.memory, disk + size.disk
    return IndexSize(memory, disk)
