"""An embedding cache in one SQLite file, which several processes may share."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from kitestring.clients.embedder.cache import CacheFailed
from kitestring.clients.sqlite import transaction

T = TypeVar("T")
_VERSION = 1
_TABLES = """
CREATE TABLE vectors (key BLOB PRIMARY KEY, entry BLOB NOT NULL, used INTEGER NOT NULL);
CREATE INDEX vectors_by_use ON vectors (used);
CREATE TABLE size (bytes INTEGER NOT NULL);
INSERT INTO size VALUES (0);
"""
_STEP = 500  # keys in one statement
_FULL_TO = 0.9  # of the size: what is left after the longest unused are gone
_FRESH = 3600  # seconds within which a second use is not noted
_EVICTED = 1000  # entries at once


class SqliteVectors:
    """The cache in a file. One that is damaged is set aside, with a note, and begun anew.

    Args:
        max_bytes: of the entries together; the longest unused go first. The file keeps the space
            of what is gone, for what comes.
    """

    def __init__(self, file: Path, max_bytes: int) -> None:
        self._file, self._max = file, max_bytes
        self._db: sqlite3.Connection | None = None
        self._notes: list[str] = []

    @property
    def notes(self) -> Sequence[str]:
        return self._notes

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return self._sturdy(lambda db: self._read(db, keys))

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        self._sturdy(lambda db: self._write(db, entries))

    def close(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
        self._db = None

    def _read(self, db: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        now = int(time.time())
        found: dict[bytes, bytes] = {}
        stale: list[bytes] = []
        for start in range(0, len(keys), _STEP):
            part = keys[start : start + _STEP]
            marks = ",".join("?" * len(part))
            for key, entry, used in db.execute(
                f"SELECT key, entry, used FROM vectors WHERE key IN ({marks})",  # noqa: S608
                part,
            ):
                found[key] = entry
                if used < now - _FRESH:
                    stale.append(key)
        if stale:
            with transaction(db):
                db.executemany(
                    "UPDATE vectors SET used = ? WHERE key = ?", [(now, key) for key in stale]
                )
        return found

    def _write(self, db: sqlite3.Connection, entries: Mapping[bytes, bytes]) -> None:
        now = int(time.time())
        with transaction(db):
            added = 0
            for key, entry in entries.items():
                old = db.execute("SELECT length(entry) FROM vectors WHERE key = ?", (key,))
                added += len(entry) - sum(length for (length,) in old)
                db.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", (key, entry, now))
            db.execute("UPDATE size SET bytes = bytes + ?", (added,))
            (size,) = db.execute("SELECT bytes FROM size").fetchone()
            if size > self._max:
                self._evict(db, int(size) - int(self._max * _FULL_TO))

    def _evict(self, db: sqlite3.Connection, surplus: int) -> None:
        gone = 0
        while gone < surplus:
            oldest = db.execute(
                "SELECT key, length(entry) FROM vectors ORDER BY used, rowid LIMIT ?", (_EVICTED,)
            ).fetchall()
            if not oldest:
                break
            keys = []
            for key, length in oldest:
                if gone >= surplus:
                    break
                gone += length
                keys.append((key,))
            db.executemany("DELETE FROM vectors WHERE key = ?", keys)
        db.execute("UPDATE size SET bytes = bytes - ?", (gone,))

    def _sturdy(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """The call; once more on a new file where this one is damaged."""
        try:
            return call(self._open())
        except (sqlite3.Error, OSError) as error:
            self.close()
            if not _is_damage(error):
                raise CacheFailed(f"{self._file}: {error}") from error
            self._set_aside(error)
        try:
            return call(self._open())
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise CacheFailed(f"{self._file}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self._file, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = OFF")  # what is lost is embedded again
            with transaction(self._db):
                (version,) = self._db.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _TABLES.split(";\n"):
                        if statement.strip():
                            self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {_VERSION}")
                elif version != _VERSION:
                    raise sqlite3.DatabaseError(f"its version is {version}")
        return self._db

    def _set_aside(self, error: Exception) -> None:
        aside = self._file.with_name(f"{self._file.name}.damaged-{int(time.time() * 1000)}")
        try:
            for part in ("-wal", "-shm"):
                self._file.with_name(self._file.name + part).unlink(missing_ok=True)
            self._file.replace(aside)
        except OSError as failed:
            raise CacheFailed(f"{self._file}: {error}; {failed.strerror}") from failed
        self._notes.append(f"the embedding cache was damaged ({error}); it was set aside: {aside}")


def _is_damage(error: Exception) -> bool:
    """Whether the file is at fault, and not the disk, the rights or another process."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError
    )
