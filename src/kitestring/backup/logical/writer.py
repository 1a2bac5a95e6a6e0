"""Writes rows as Parquet files: as objects of a pool, or into a folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from kitestring.backup.logical.index import Index, concat, encode
from kitestring.backup.logical.rows import (
    as_type,
    fixed_columns,
    parquet_path,
    parquet_schema,
    plain_columns,
)
from kitestring.clients.store.protocol import HashingWriter, ObjectStore, exists
from kitestring.model.backup import RowsBackup, StoredObject
from kitestring.model.collection import Schema

GROUP = 8 * 1024 * 1024  # bytes of values in a row group, about
PART = 32 * 1024 * 1024  # bytes of a file, about
_EXPORTED = 2 * GROUP  # of a row group for others to read, who need not keep our memory small
_WRITE = 1 << 16  # values that are encoded at a time: more leave the processor's cache


class ParquetFile:
    """One Parquet file that is being written to an open file; close it.

    Row groups of `group` bytes, about; zstandard and statistics for all columns but vectors, which
    neither makes smaller.
    """

    def __init__(self, file: BinaryIO, schema: Schema, group: int = GROUP) -> None:
        self._shape = parquet_schema(schema)
        vectors = fixed_columns(schema)
        paths = {n: parquet_path(schema, n) for n in (*vectors, *plain_columns(schema))}
        self._sink, self._group = HashingWriter(file), group
        self._file = pq.ParquetWriter(
            self._sink,
            self._shape,
            compression={p: "none" if n in vectors else "zstd" for n, p in paths.items()},
            # zstandard makes as much of what repeats, and sooner
            use_dictionary=False,
            write_batch_size=_WRITE,
            write_statistics=[p for n, p in paths.items() if n not in vectors] or False,
        )
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """More rows, of the schema of `kitestring.model.arrow.arrow_schema`."""
        if not batch.num_rows:
            return
        step = max(1, self._group * batch.num_rows // max(1, batch.nbytes))
        for at in range(0, batch.num_rows, step):
            piece = batch.slice(at, step)
            self._held.append(piece)
            self._bytes += piece.nbytes
            if self._bytes >= self._group:
                self._flush()
        self.rows += batch.num_rows

    @property
    def size(self) -> int:
        """Bytes so far, about."""
        return self._sink.size + self._bytes

    def close(self) -> None:
        self._flush()
        self._file.close()
        self._sink.flush()

    @property
    def written(self) -> tuple[int, str]:
        """Size in bytes and SHA-256 (hex) of the file, once it is closed."""
        return self._sink.size, self._sink.sha256

    def abandon(self) -> None:
        """Ends a file that nobody will read, while its open file is still open."""
        self._held = []
        with suppress(OSError, ValueError):  # a disk that is full is why it is abandoned
            self._file.close()

    def _flush(self) -> None:
        if self._held:
            arrays = [
                [as_type(batch.column(f.name), f.type) for batch in self._held] for f in self._shape
            ]
            chunks = [pa.chunked_array(a, f.type) for a, f in zip(arrays, self._shape, strict=True)]
            table = pa.Table.from_arrays(chunks, schema=self._shape)
            self._file.write_table(table, row_group_size=table.num_rows)
        self._held, self._bytes = [], 0


class PartWriter:
    """Writes rows of one partition as files of a pool, each with its index. For one thread.

    Args:
        folder: the prefix of the keys; names are by content.
        source: the prefix of what `StoredObject.source` says.
        plan: told of keys before they are written.
    """

    def __init__(
        self,
        pool: ObjectStore,
        folder: str,
        source: str,
        schema: Schema,
        partition: str,
        plan: Callable[[list[str]], None],
    ) -> None:
        self._pool, self._folder, self._source = pool, folder, source
        self._schema, self.partition, self._plan = schema, partition, plan
        self._key = schema.primary.name
        self._temporary: BinaryIO | None = None
        self._file: ParquetFile | None = None
        self._indexes: list[Index] = []
        self._sorted = True
        self._first: str | int | None = None
        self._last: str | int | None = None
        self.parts: list[RowsBackup] = []
        self.written: list[StoredObject] = []

    def add(self, batch: pa.RecordBatch, index: Index) -> None:
        """More rows, and their entries of the index.

        Raises:
            StoreError: a file was full and could not be stored.
        """
        if not batch.num_rows:
            return
        if self._file is None:
            self._temporary = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the part
            self._file = ParquetFile(self._temporary, self._schema)
        self._file.add(batch)
        self._indexes.append(index)
        self._follow(batch.column(self._key))
        if self._file.size >= PART:
            self.finish()

    def _follow(self, keys: pa.Array) -> None:
        """Finds out whether the file is sorted by key."""
        first, last = keys[0].as_py(), keys[-1].as_py()
        if self._first is None:
            self._first = first
        elif self._last is not None and first <= self._last:
            self._sorted = False
        if self._sorted and len(keys) > 1:
            pairs = pa.compute.less(keys.slice(0, len(keys) - 1), keys.slice(1))
            self._sorted = bool(pa.compute.all(pairs).as_py())
        self._last = last

    def finish(self) -> None:
        """Stores the file that is being written, if there is one."""
        if self._file is None or self._temporary is None:
            return
        with self._temporary as file:
            self._file.close()
            rows = self._file.rows
            file.seek(0)
            stored = self._put(file, *self._file.written, ".parquet")
        index = self._store_bytes(encode(concat(self._indexes)), ".index.parquet")
        self.parts.append(
            RowsBackup(
                stored,
                self.partition,
                rows,
                self._first if self._sorted else None,
                self._last if self._sorted else None,
                index=index,
                written=rows,
            )
        )
        self.abandon()

    def abandon(self) -> None:
        """Forgets the file that is being written."""
        if self._file is not None:
            self._file.abandon()
        if self._temporary is not None:
            self._temporary.close()
        self._temporary = self._file = self._first = self._last = None
        self._indexes, self._sorted = [], True

    def _store_bytes(self, data: bytes, suffix: str) -> StoredObject:
        return self._put(data, len(data), hashlib.sha256(data).hexdigest(), suffix)

    def _put(self, data: BinaryIO | bytes, size: int, sha256: str, suffix: str) -> StoredObject:
        name = f"{sha256[:40]}{suffix}"
        stored = StoredObject(f"{self._folder}/{name}", f"{self._source}/{name}", size, sha256)
        self._plan([stored.key])
        self._pool.put(stored.key, data)
        self.written.append(stored)
        return stored


def store_object(
    pool: ObjectStore,
    folder: str,
    source: str,
    data: bytes,
    suffix: str,
    plan: Callable[[list[str]], None],
) -> tuple[StoredObject, bool]:
    """Stores a small object of a pool under the name of its content; whether it was new."""
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"{sha256[:40]}{suffix}"
    stored = StoredObject(f"{folder}/{name}", f"{source}/{name}", len(data), sha256)
    if exists(pool, stored.key):
        return stored, False
    plan([stored.key])
    pool.put(stored.key, data)
    return stored, True


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A complete file of a folder."""

    path: Path
    rows: int
    bytes: int
    sha256: str


class FolderWriter:
    """Writes rows into files `part-0000.parquet`, … of a folder; several may write into one.

    Args:
        guard: held while the next number is taken.
        disk: brings a file that is complete onto the disk, while the next one is written.
        limit: bytes of a file, about.
    """

    def __init__(
        self,
        folder: Path,
        schema: Schema,
        *,
        guard: threading.Lock,
        disk: Executor,
        limit: int = 4 * PART,
    ) -> None:
        self._folder, self._schema, self._limit, self._guard = folder, schema, limit, guard
        self._disk = disk
        self._waiting: list[Future[None]] = []
        self._sink: BinaryIO | None = None
        self._file: ParquetFile | None = None
        self._path = folder
        self.files: list[WrittenFile] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """More rows. Raises: OSError."""
        if not batch.num_rows:
            return
        if self._file is None:
            with self._guard:
                number = sum(1 for _ in self._folder.glob("part-*.parquet"))
                self._path = self._folder / f"part-{number:04d}.parquet"
                self._sink = self._path.open("wb")
            self._file = ParquetFile(self._sink, self._schema, _EXPORTED)
        self._file.add(batch)
        if self._file.size >= self._limit:
            self.finish()

    def finish(self) -> None:
        """Completes the file that is being written, if there is one."""
        if self._file is not None and self._sink is not None:
            self._file.close()
            self.files.append(WrittenFile(self._path, self._file.rows, *self._file.written))
            self._waiting.append(self._disk.submit(_onto_disk, self._sink))
            self._sink = None
        self.abandon()

    def settle(self) -> None:
        """Completes the last file, and waits until all are on the disk. Raises: OSError."""
        self.finish()
        for waiting in self._waiting:
            waiting.result()

    def abandon(self) -> None:
        """Closes the file that is being written as it is."""
        if self._file is not None:
            self._file.abandon()
        if self._sink is not None:
            self._sink.close()
        self._sink = self._file = None


def _onto_disk(file: BinaryIO) -> None:
    with file:
        os.fsync(file.fileno())
