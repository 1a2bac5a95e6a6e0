"""What a logical backup can build on: the Parquet files of the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kitestring.backup.catalog import Catalog
from kitestring.backup.earlier import read_damaged
from kitestring.backup.logical.changes import Mask
from kitestring.backup.logical.index import Index, decode
from kitestring.backup.logical.rows import read_alive
from kitestring.backup.logical.source import Contract
from kitestring.backup.pool import PoolReader
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import BackupDamaged, ManifestUnreadable, StoreError
from kitestring.model.backup import CollectionBackup, RowsBackup

_SMALL = 16  # files of a partition, below a quarter of the full size, that may add up
_GONE = 0.3  # part of a file's rows that may be gone
_QUARTER = 8 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class PartBefore:
    """A file of the backup before, and the index of those of its rows that were in it.

    `alive` says which of the file's rows those are; `positions` counts among all of them.
    """

    part: RowsBackup
    index: Index
    alive: Mask

    def rows_kept(self, kept: Mask) -> Mask:
        """A mask of the file's rows from one of the rows that were in the backup."""
        mask = np.zeros(len(self.alive), bool)
        mask[np.flatnonzero(self.alive)[kept]] = True
        return mask


def find_before(
    catalog: Catalog, cluster: str, names: Sequence[str]
) -> Mapping[str, CollectionBackup]:
    """The newest logical backup of each collection, where there is one."""
    found: dict[str, CollectionBackup] = {}
    for summary in catalog.newest_first():
        missing = set(names) - set(found)
        if not missing:
            break
        if not summary.readable or (summary.cluster, summary.method) != (cluster, "logical"):
            continue
        if missing & set(summary.collections):
            try:
                manifest = catalog.manifest(summary.id)
            except ManifestUnreadable:
                continue
            found |= {c.name: c for c in manifest.collections if c.name in missing}
    return found


def load_parts(
    pool: ObjectStore, before: CollectionBackup, folder: str
) -> tuple[list[PartBefore], list[str]]:
    """The files of the backup before that are still whole, and what is wrong with the others.

    Args:
        folder: where new objects of the collection go: what is sealed otherwise is elsewhere, and
            is not taken over.
    """
    there = {i.key: i.size for i in pool.list(f"{folder}/")}
    damaged = read_damaged(pool)
    found, said = [], []
    for part in before.parts:
        lost = [o for o in part.objects if there.get(o.key) != o.size or o.key in damaged]
        if lost or part.index is None:
            why = f"{lost[0].key} is damaged, or sealed otherwise" if lost else "it has no index"
            said.append(f"{part.object.key} is not taken over: {why}")
            continue
        reader = PoolReader(pool, part.objects)
        try:
            index = decode(reader.get(part.index.source), part.index.key)
            if len(index) != part.written:
                raise BackupDamaged(f"{part.index.key} has {len(index)} entries")
            alive = read_alive(reader, part)
        except (BackupDamaged, StoreError) as error:
            said.append(f"{part.object.key} is not taken over: {error.message}")
            continue
        if alive is None:
            alive = np.ones(part.written, bool)
        found.append(PartBefore(part, index.select(alive), alive))
    return found, said


def comparable(
    parts: Sequence[PartBefore], read_by: str, contract: Contract
) -> tuple[str, list[PartBefore]]:
    """By what the rows of before and now are compared, `stamp` or `mark`, empty for nothing; and
    the files of which that is known.

    Stamps are exact: where rows have them now, files without them (which were read over the API)
    are not taken over.
    """
    if read_by == "segments":
        return "stamp", [p for p in parts if p.index.stamps is not None]
    if contract.marks:
        return "mark", [p for p in parts if p.index.marks is not None]
    return "", []


def to_rewrite(parts: Sequence[PartBefore], kept: Sequence[Mask]) -> set[int]:
    """Which files are written anew, without the rows that are gone: those that have lost many,
    and small ones where there are many in a partition."""
    chosen = set()
    small: dict[str, list[int]] = {}
    for number, (before, mask) in enumerate(zip(parts, kept, strict=True)):
        alive = int(mask.sum())
        if 0 < alive < (1 - _GONE) * before.part.written:
            chosen.add(number)
        elif alive and before.part.object.size < _QUARTER:
            small.setdefault(before.part.partition, []).append(number)
    for numbers in small.values():
        if len(numbers) > _SMALL:
            chosen.update(numbers)
    return chosen
