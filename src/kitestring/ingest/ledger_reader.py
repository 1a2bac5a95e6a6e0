"""The reading half of the ledger: what ingestion says it wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kitestring.errors import LedgerUnreadable
from kitestring.ingest import ledger_lease as lease
from kitestring.ingest.ledger_file import prepare
from kitestring.model.ledger import LedgerRow

_ROW = "key, doc_id, chunk_index, content_hash, embedding_model, chunker, last_embedded_at, extra"


@dataclass(frozen=True, slots=True)
class LedgerDocument:
    """A document as last announced. `chunks` is what was planned when `pending`."""

    digest: str
    state: str  # pending or written
    chunks: int
    rows: int  # rows entered so far


class LedgerReader:
    """One ledger file, open. Reading is safe at any time.

    Every method raises LedgerUnreadable where SQLite can't read or write the file.
    """

    def __init__(self, file: Path | None, cluster: str) -> None:
        """Opens or creates the ledger; `file=None` gives an empty one in memory.

        Raises:
            LedgerUnreadable: damaged, of a newer version, or another cluster's.
        """
        self._where = str(file) if file else ":memory:"
        with self._guard():
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self._where, timeout=30, isolation_level=None)
            try:
                prepare(self._db, self._where, cluster)
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def has(self, collection: str) -> bool:
        """Whether an ingestion into the collection was ever begun."""
        found = self._one("SELECT 1 FROM collections WHERE collection = ?", collection)
        return found is not None

    def count(self, collection: str) -> int:
        """Rows that the ledger has of the collection."""
        found = self._one("SELECT count(*) FROM rows WHERE collection = ?", collection)
        return int(found[0]) if found else 0

    def rows(self, collection: str, tenant: str | None = None) -> Iterator[LedgerRow]:
        """All rows of a collection, or of one tenant, in the bytewise order of their keys."""
        if tenant is None:
            yield from self._rows("WHERE collection = ? ORDER BY key", collection)
        else:
            where = "WHERE collection = ? AND tenant = ? ORDER BY key"
            yield from self._rows(where, collection, tenant)

    def unverified(self, collection: str) -> Iterator[LedgerRow]:
        """The rows entered by runs since the last one whose rows were read back, by key."""
        last = "SELECT coalesce(max(id), 0) FROM runs WHERE collection = ? AND verified_at > 0"
        wrote = f"SELECT 1 FROM runs WHERE collection = ? AND id > ({last}) AND rows_written > 0"  # noqa: S608
        if self._one(wrote, collection, collection) is not None:
            where = f"WHERE collection = ? AND run > ({last}) ORDER BY key"
            yield from self._rows(where, collection, collection)

    def columns(
        self, collection: str, rows: int = 65_536
    ) -> Iterator[tuple[Sequence[str], Sequence[str], Sequence[int]]]:
        """Keys, content hashes and times of embedding of all rows of a collection, so many at a
        time, in the bytewise order of their keys."""
        with self._guard():
            cursor = self._db.execute(
                "SELECT key, content_hash, last_embedded_at FROM rows WHERE collection = ?"
                " ORDER BY key",
                (collection,),
            )
            while batch := cursor.fetchmany(rows):
                yield tuple(zip(*batch, strict=True))  # type: ignore[misc]

    def nth_key(self, collection: str, first: str, position: int) -> str | None:
        """The key so many rows after the key `first`; None where there is none any more."""
        with self._guard():
            found = self._db.execute(
                "SELECT key FROM rows WHERE collection = ? AND key >= ? ORDER BY key"
                " LIMIT 1 OFFSET ?",
                (collection, first, position),
            ).fetchone()
        return None if found is None else str(found[0])

    def contents(self, collection: str, keys: Iterable[str]) -> dict[str, str]:
        """Key -> content hash of those that the ledger has."""
        found = {}
        with self._guard():
            for key in keys:
                row = self._db.execute(
                    "SELECT content_hash FROM rows WHERE collection = ? AND key = ?",
                    (collection, key),
                ).fetchone()
                if row is not None:
                    found[key] = str(row[0])
        return found

    def busy(self, collection: str) -> bool:
        """Whether an ingestion holds the collection."""
        return self._one("SELECT 1 FROM leases WHERE collection = ?", collection) is not None

    def unfinished(self, collection: str) -> set[tuple[str, str]]:
        """Tenant and id of the documents that are not wholly in the ledger: announced, and not
        written to the end, or with rows forgotten since."""
        with self._guard():
            found = self._db.execute(
                "SELECT d.tenant, d.doc_id FROM documents d"
                " LEFT JOIN rows r USING (collection, tenant, doc_id) WHERE d.collection = ?"
                " GROUP BY d.tenant, d.doc_id"
                " HAVING d.state = 'pending' OR d.chunks > count(r.key)",
                (collection,),
            ).fetchall()
        return set(found)

    def writing(self, collection: str) -> bool:
        """Whether a living ingestion holds the collection; `busy` where one was killed, too."""
        with self._guard():
            return lease.is_held(self._db, collection)

    def document_rows(self, collection: str, tenant: str, doc_id: str) -> dict[str, LedgerRow]:
        """The rows of one document by key."""
        where = "WHERE collection = ? AND tenant = ? AND doc_id = ?"
        return {row.key: row for row in self._rows(where, collection, tenant, doc_id)}

    def documents(self, collection: str, tenant: str) -> dict[str, LedgerDocument]:
        """The documents of a tenant by id, with the number of rows entered for each."""
        with self._guard():
            found = self._db.execute(
                "SELECT d.doc_id, d.digest, d.state, d.chunks, count(r.key)"
                " FROM documents d LEFT JOIN rows r USING (collection, tenant, doc_id)"
                " WHERE d.collection = ? AND d.tenant = ? GROUP BY d.doc_id",
                (collection, tenant),
            ).fetchall()
        return {doc: LedgerDocument(*rest) for doc, *rest in found}

    def roots(self, collection: str, tenant: str) -> dict[str, str]:
        """The documents of a tenant by id, with the directory that they were last found in; an
        empty text where that is not known."""
        with self._guard():
            found = self._db.execute(
                "SELECT doc_id, root FROM documents WHERE collection = ? AND tenant = ?",
                (collection, tenant),
            ).fetchall()
        return dict(found)

    def document_ids(self, collection: str, tenant: str) -> set[str]:
        """Every document of a tenant that was announced or has rows."""
        with self._guard():
            found = self._db.execute(
                "SELECT doc_id FROM documents WHERE collection = ? AND tenant = ?"
                " UNION SELECT doc_id FROM rows WHERE collection = ? AND tenant = ?",
                (collection, tenant) * 2,
            ).fetchall()
        return {doc for (doc,) in found}

    def labels(self, collection: str) -> dict[tuple[str, str], int]:
        """(embedding model, chunker) -> rows."""
        with self._guard():
            found = self._db.execute(
                "SELECT embedding_model, chunker, count(*) FROM rows WHERE collection = ?"
                " GROUP BY embedding_model, chunker",
                (collection,),
            ).fetchall()
        return {(model, chunker): int(count) for model, chunker, count in found}

    def milvus_id(self, collection: str) -> int | None:
        """The server's id of the collection at the last run; another id is another collection."""
        found = self._one("SELECT milvus_id FROM collections WHERE collection = ?", collection)
        return None if found is None else int(found[0])

    def _rows(self, where: str, *values: str) -> Iterator[LedgerRow]:
        with self._guard():
            cursor = self._db.execute(f"SELECT {_ROW} FROM rows {where}", values)  # noqa: S608
            while batch := cursor.fetchmany(2048):
                for row in batch:
                    yield LedgerRow(*row)

    def _one(self, statement: str, *values: str) -> tuple[int, ...] | None:
        with self._guard():
            found: tuple[int, ...] | None = self._db.execute(statement, values).fetchone()
        return found

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LedgerUnreadable(
                f"the ledger {self._where} can't be used: {error}",
                hint="check the disk and the rights; when the file is damaged, move it away: "
                "the next ingestion builds it anew from the collection",
                subject=self._where,
            ) from error
