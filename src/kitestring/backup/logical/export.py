"""Writes the rows of a backup, physical or logical, into a folder of plain Parquet files.

    DIR/manifest.json                        what it is: boundary, rows, files with their SHA-256
    DIR/<collection>/_schema.json            the collection: fields, indexes, partitions, aliases
    DIR/<collection>/part-0000.parquet, …    its rows

What reads a folder of Parquet files passes over a name that begins with `_`.

No server is needed, only the backup's store. The folder is written beside its place, and renamed
once it is whole.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from glob import escape
from pathlib import Path

import pyarrow as pa

from kitestring.backup.catalog import Catalog
from kitestring.backup.interrupts import shielded, stoppable
from kitestring.backup.logical.rows import read_part as read_file
from kitestring.backup.logical.source import THREADS, each_batch, in_threads
from kitestring.backup.logical.where import Filter, parse, select
from kitestring.backup.logical.writer import FolderWriter
from kitestring.backup.pool import PoolReader
from kitestring.clients.exclusive import exclusive
from kitestring.clients.textfile import unwritten
from kitestring.errors import (
    BackupDamaged,
    BackupError,
    BackupRefused,
    KitestringError,
    UsageError,
)
from kitestring.model.backup import BackupManifest, CollectionBackup
from kitestring.model.codec import to_plain
from kitestring.segments.deltas import DeltaLogsByThread
from kitestring.segments.plan import Part, plan_backup, read_part

OnEvent = Callable[[str], None]
EXPORT_VERSION = 1
_LOCK = ".lock"  # in the folder while it is written


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """`path` is below the folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ExportedCollection:
    name: str
    rows: int
    files: tuple[ExportedFile, ...]
    partitions: tuple[str, ...] = ()  # those named; empty for all
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Export:
    """What was written. Times are ms since the epoch."""

    backup: str
    method: str
    cluster: str
    boundary: int
    folder: str
    collections: tuple[ExportedCollection, ...]
    filter: str = ""
    seconds: float = 0.0
    schema_version: int = EXPORT_VERSION

    @property
    def rows(self) -> int:
        return sum(c.rows for c in self.collections)

    @property
    def bytes(self) -> int:
        return sum(f.bytes for c in self.collections for f in c.files)


def export(
    catalog: Catalog,
    manifest: BackupManifest,
    folder: Path,
    *,
    collections: Sequence[str] = (),
    partitions: Sequence[str] = (),
    where: str = "",
    on_event: OnEvent | None = None,
) -> Export:
    """Writes a backup's rows into a folder, which is new or empty.

    Args:
        collections, partitions: names of those wanted; empty for all.
        where: a filter (see `kitestring.backup.logical.where`).

    Raises:
        UsageError: the folder has something in it; the filter is none for a collection.
        BackupRefused: the backup has no such collection or partition.
        BackupDamaged, SegmentUnreadable, StoreError, StoreFull: no folder is left.
    """
    tell = on_event or (lambda _line: None)
    catalog.check_openable(manifest)
    wanted = _wanted(manifest, collections, partitions)
    filters = {c.name: parse(where, c.schema) if where else None for c in wanted}
    folder = folder.absolute()
    _check_free(folder)
    begun = time.monotonic()
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        with stoppable(), ExitStack() as holding:
            _sweep(folder, tell)
            beside.mkdir(parents=True)
            holding.enter_context(exclusive(beside / _LOCK, "export"))
            done = []
            for collection in wanted:
                one = _one(catalog, manifest, collection, beside, partitions, filters, tell)
                done.append(one)
            made = Export(
                manifest.id, manifest.method, manifest.cluster, manifest.boundary, str(folder),
                tuple(done), where,
            )  # fmt: skip
            plain = to_plain(made)
            del plain["folder"], plain["seconds"]
            _write_json(beside / "manifest.json", plain)
            (beside / _LOCK).unlink()
            with shielded():
                if folder.is_dir():
                    folder.rmdir()
                beside.rename(folder)
    except OSError as error:
        hint = "name another folder; nothing is left of the export"
        raise unwritten(folder, error, hint) from error
    finally:
        with shielded():
            shutil.rmtree(beside, ignore_errors=True)
    return replace(made, seconds=round(time.monotonic() - begun, 3))


def _sweep(folder: Path, tell: OnEvent) -> None:
    """Removes what exports into the folder that were killed have left beside it."""
    for old in folder.parent.glob(f".{escape(folder.name)}.*.partial"):
        with suppress(OSError, KitestringError), exclusive(old / _LOCK, "export"):
            shutil.rmtree(old)
            tell(f"removed {old}, which an export that was killed had left")


def _wanted(
    manifest: BackupManifest, collections: Sequence[str], partitions: Sequence[str]
) -> list[CollectionBackup]:
    there = {c.name: c for c in manifest.collections}
    for name in collections:
        if name not in there:
            raise BackupRefused(
                f"the backup {manifest.id} has no collection `{name}`",
                hint=f"it has {', '.join(there)}",
                subject=name,
            )
    wanted = [c for name, c in there.items() if not collections or name in collections]
    if not partitions:
        return wanted
    known = {p.name for c in wanted for p in c.partitions}
    for name in partitions:
        if name not in known:
            raise BackupRefused(
                f"no collection that is exported has a partition `{name}`",
                hint=f"there are {', '.join(sorted(known)[:20])}",
                subject=name,
            )
    for collection in wanted:
        if collection.parts and any(f.partition_key for f in collection.schema.fields):
            raise BackupRefused(
                f"`{collection.name}` is partitioned by a key: a logical backup does not keep "
                "which partition a row was in",
                hint="filter by the key: --where",
                subject=collection.name,
            )
    return [c for c in wanted if {p.name for p in c.partitions} & set(partitions)]


def _check_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there already, and not an empty folder",
            hint="name a new one",
            subject=str(folder),
        )
    if not os.access(next(p for p in folder.parents if p.exists()), os.W_OK):
        raise UsageError(f"{folder} can't be written", subject=str(folder))


def _one(
    catalog: Catalog,
    manifest: BackupManifest,
    collection: CollectionBackup,
    beside: Path,
    partitions: Sequence[str],
    filters: dict[str, Filter | None],
    tell: OnEvent,
) -> ExportedCollection:
    """Writes one collection."""
    where = filters[collection.name]
    folder = beside / collection.name
    folder.mkdir()
    reads = _reads(catalog, manifest, collection, partitions)
    guard = threading.Lock()
    idle: list[FolderWriter] = []
    writers: list[FolderWriter] = []
    read = rows = 0

    def write(batch: pa.RecordBatch) -> tuple[int, int]:
        chosen = select(batch, where)
        with guard:
            if not idle:
                writers.append(FolderWriter(folder, collection.schema, guard=guard, disk=disk))
                idle.append(writers[-1])
            writer = idle.pop()
        writer.add(chosen)
        with guard:
            idle.append(writer)
        return batch.num_rows, chosen.num_rows

    with ThreadPoolExecutor(1, "disk") as disk:
        try:
            for before, after in each_batch(
                reads, lambda read_one: read_one(), write, lambda: None, apart=len(reads) >= THREADS
            ):
                read += before
                rows += after
            for _ in in_threads(FolderWriter.settle, writers, lambda: None, threads=THREADS):
                pass
        finally:
            for writer in writers:
                writer.abandon()
    if not partitions and read != collection.digest.rows:
        raise BackupDamaged(
            f"the backup holds {read:,} rows of `{collection.name}`, "
            f"not {collection.digest.rows:,}",
            hint="`kitestring backup verify --tier full` tells more",
            subject=collection.name,
        )
    described = replace(collection, segments=(), parts=(), digest=collection.digest)
    plain = to_plain(described)
    for name in ("segments", "parts"):
        del plain[name]
    _write_json(folder / "_schema.json", plain)
    tell(f"{collection.name}: {rows:,} rows")
    files = _files(beside, writers)
    if sum(f.rows for f in files) != rows:
        raise BackupError(f"the files of `{collection.name}` do not hold its {rows} rows")
    return ExportedCollection(
        collection.name, rows, files, tuple(partitions), tuple(collection.notes)
    )


def _reads(
    catalog: Catalog,
    manifest: BackupManifest,
    collection: CollectionBackup,
    partitions: Sequence[str],
) -> list[Callable[[], Iterator[pa.RecordBatch]]]:
    """What reads the rows of a collection, file by file or segment by segment; those of the
    partitions, or all where none is named."""
    reader = PoolReader(catalog.store, collection.objects)
    if not collection.segments:
        files = [f for f in collection.parts if not partitions or f.partition in partitions]
        return [partial(read_file, reader, collection.schema, file) for file in files]
    ids = {p.id for p in collection.partitions if p.name in partitions}
    planned = plan_backup(collection, manifest.boundary)
    parts = [p for p in planned if not ids or p.partition_id in ids]
    parts.sort(key=lambda p: -p.bytes)  # the last ones are small: no thread works long alone
    deltas = DeltaLogsByThread(reader)

    def read(part: Part) -> Iterator[pa.RecordBatch]:
        return read_part(reader, part, deltas=deltas.mine(), ahead=len(parts) < THREADS)

    return [partial(read, part) for part in parts]


def _files(beside: Path, writers: Sequence[FolderWriter]) -> tuple[ExportedFile, ...]:
    found = sorted((f for w in writers for f in w.files), key=lambda f: f.path)
    return tuple(
        ExportedFile(str(f.path.relative_to(beside)), f.rows, f.bytes, f.sha256) for f in found
    )


def _write_json(path: Path, plain: object) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(plain, file, indent=2, ensure_ascii=False)
        file.write("\n")
