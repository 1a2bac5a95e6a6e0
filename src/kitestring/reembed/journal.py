"""What of a collection has been copied: one SQLite file for each operation.

A row is noted after Milvus has acknowledged its copy, in one transaction for each batch, so that a
killed copy embeds one batch again at most. What is noted of a row is its mark (a digest of what
was copied), so the journal can be built anew from the shadow collection itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kitestring.clients.sqlite import transaction
from kitestring.errors import ReembedError

Key = str | int
_TABLES = (
    "CREATE TABLE IF NOT EXISTS copied (key PRIMARY KEY, mark BLOB NOT NULL, content TEXT,"
    " at INTEGER, pass INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
_AT_ONCE = 500  # keys in one statement


@dataclass(frozen=True, slots=True)
class Copied:
    """A row as it was copied. `at` is its source's `last_embedded_at`, None where not known."""

    key: Key
    mark: bytes
    content: str | None
    at: int | None


class Journal:
    """Every method raises ReembedError where SQLite can't read or write the file."""

    def __init__(self, file: Path, shadow_id: int) -> None:
        """Opens the journal of one shadow collection.

        `fresh` tells that it does not know what is in that one (see `restart`).
        """
        self._file = file
        with self._guard():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")  # safe against a killed process
            with self._transaction():
                for statement in _TABLES:
                    self._db.execute(statement)
            found = self._db.execute("SELECT value FROM meta WHERE name = 'shadow'").fetchone()
            self.fresh = found is None or found[0] != str(shadow_id)
        self._shadow = str(shadow_id)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def restart(self) -> None:
        """Forgets all: what is in the shadow collection is noted anew."""
        with self._transaction():
            self._db.execute("DELETE FROM copied")

    def is_true(self) -> None:
        """Says that all that is in the shadow collection is noted."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('shadow', ?)", (self._shadow,))
        self.fresh = False

    def doubt(self) -> None:
        """Says that what is noted may not be true: the shadow collection has to be read again."""
        with self._transaction():
            self._db.execute("DELETE FROM meta WHERE name = 'shadow'")
        self.fresh = True

    def next_pass(self) -> int:
        """The number of a new pass over all rows."""
        with self._guard():
            last = self._db.execute("SELECT coalesce(max(pass), 0) FROM copied").fetchone()
        return int(last[0]) + 1

    def marks(self, keys: Sequence[Key]) -> dict[Key, tuple[bytes, int]]:
        """The mark and the last pass of those keys that were copied."""
        found: dict[Key, tuple[bytes, int]] = {}
        with self._guard():
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                listed = ", ".join("?" * len(some))
                query = f"SELECT key, mark, pass FROM copied WHERE key IN ({listed})"  # noqa: S608
                found |= {k: (m, p) for k, m, p in self._db.execute(query, some)}
        return found

    def note(self, rows: Iterable[Copied], number: int) -> None:
        """Rows whose copies Milvus has acknowledged."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO copied VALUES (?, ?, ?, ?, ?)",
                [(r.key, r.mark, r.content, r.at, number) for r in rows],
            )

    def seen(self, ats: Mapping[Key, int | None], number: int) -> None:
        """Rows that a pass found to be copied as they are, and when they were last embedded."""
        with self._transaction():
            self._db.executemany(
                "UPDATE copied SET pass = ?, at = coalesce(?, at) WHERE key = ?",
                [(number, at, key) for key, at in ats.items()],
            )

    def unseen(self, number: int) -> Iterator[list[Key]]:
        """Keys that a pass did not come upon, some at a time; forget each lot before the next."""
        while True:
            with self._guard():
                found = self._db.execute(
                    "SELECT key FROM copied WHERE pass <> ? LIMIT ?", (number, _AT_ONCE)
                ).fetchall()
            if not found:
                return
            yield [key for (key,) in found]

    def forget(self, keys: Iterable[Key]) -> None:
        """Rows that are proven gone from the shadow collection."""
        with self._transaction():
            self._db.executemany("DELETE FROM copied WHERE key = ?", [(key,) for key in keys])

    def rows(self) -> Iterator[Copied]:
        """All rows in the order of their keys; texts bytewise."""
        with self._guard():
            cursor = self._db.execute("SELECT key, mark, content, at FROM copied ORDER BY key")
            while batch := cursor.fetchmany(2048):
                for row in batch:
                    yield Copied(*row)

    def sample(self, size: int) -> list[Key]:
        """Keys by chance, and always the same ones of the same rows: by their marks."""
        with self._guard():
            query = "SELECT key FROM copied ORDER BY mark LIMIT ?"
            return [key for (key,) in self._db.execute(query, (size,))]

    def __len__(self) -> int:
        with self._guard():
            return int(self._db.execute("SELECT count(*) FROM copied").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guard(), transaction(self._db):
            yield

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ReembedError(
                f"the journal {self._file} can't be used: {error}",
                hint="check the disk and the rights; when the file is damaged, move it away: the "
                "next run reads the shadow collection instead",
                subject=str(self._file),
            ) from error
