"""The ledger: what ingestion says it wrote, in one SQLite file for each cluster.

A row is entered after Milvus has acknowledged it, a document is announced (`pending`) before its
first row is sent. So whatever a killed run left behind is known: rows that are in the ledger are
in Milvus, and rows that are in Milvus but not in the ledger belong to a pending document, at a
chunk index below its planned number of chunks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kitestring.clients.lease import Owner, this_process
from kitestring.clients.sqlite import transaction
from kitestring.errors import LedgerBusy
from kitestring.ingest import ledger_lease as lease
from kitestring.ingest.ledger_reader import LedgerDocument as LedgerDocument
from kitestring.ingest.ledger_reader import LedgerReader
from kitestring.ingest.shared_lease import SharedLease
from kitestring.model.ledger import LedgerRow
from kitestring.spec.loaded import LoadedSpec

LEDGER_FILE = "ledger.sqlite"
_POLL = 0.5  # seconds between two looks at a lease that another holds


@dataclass(frozen=True, slots=True)
class Run:
    """A hold on one collection's part of the ledger, for one ingestion."""

    id: int
    collection: str
    owner: Owner


class Ledger(LedgerReader):
    """One ledger file; reading is `LedgerReader`'s, writing needs a `run`.

    Args:
        shared: the lease among several machines, beside the ledger's own.

    Every method raises LedgerUnreadable where SQLite can't read or write the file.
    """

    def __init__(self, file: Path | None, cluster: str, shared: SharedLease | None = None) -> None:
        super().__init__(file, cluster)
        self._shared = shared

    @contextmanager
    def run(
        self,
        collection: str,
        *,
        wait: float = 0.0,
        waiting: Callable[[str], None] | None = None,
    ) -> Iterator[Run]:
        """Holds the collection for one ingestion.

        Args:
            wait: seconds to wait for another ingestion that holds it.
            waiting: told once, by whom it is held, before waiting.

        Raises:
            LedgerBusy: another living ingestion holds it; the message names it.
        """
        deadline = time.monotonic() + wait
        run = self._begin(collection, this_process(), deadline, waiting)
        try:
            with lease.alive(self._where, collection, run.owner), ExitStack() as stack:
                if self._shared is not None:
                    stack.enter_context(self._shared.held(collection, deadline, waiting))
                yield run
        finally:
            with self._transaction():
                lease.release(self._db, collection, run.owner)
                self._db.execute(
                    "UPDATE runs SET finished_at = ? WHERE id = ?", (_now_ms(), run.id)
                )

    def bind(self, run: Run, milvus_id: int) -> None:
        """Notes which collection of the server the rows are in."""
        with self._checkpoint(run):
            self._db.execute(
                "INSERT INTO collections VALUES (?, ?)"
                " ON CONFLICT DO UPDATE SET milvus_id = excluded.milvus_id",
                (run.collection, milvus_id),
            )

    def announce(
        self,
        run: Run,
        tenant: str,
        documents: Mapping[str, tuple[str, int]],
        *,
        roots: Mapping[str, str] | None = None,
    ) -> None:
        """Marks documents (id -> digest and planned chunks) as pending, before the first row goes.

        The planned number never shrinks while a document is pending: an earlier, killed run may
        have sent more chunks than this one will. `roots`: the directory that each id is relative
        to.
        """
        with self._checkpoint(run):
            self._db.executemany(
                "INSERT INTO documents (collection, tenant, doc_id, digest, state, chunks, root)"
                " VALUES (?, ?, ?, ?, 'pending', ?, ?)"
                " ON CONFLICT DO UPDATE SET digest = excluded.digest, state = 'pending',"
                " chunks = max(chunks, excluded.chunks), root = excluded.root",
                [
                    (run.collection, tenant, doc, digest, chunks, (roots or {}).get(doc, ""))
                    for doc, (digest, chunks) in documents.items()
                ],
            )

    def place(self, run: Run, tenant: str, roots: Mapping[str, str]) -> None:
        """Notes the directory in which documents are found, where it is another than before."""
        with self._checkpoint(run):
            self._db.executemany(
                "UPDATE documents SET root = ? WHERE collection = ? AND tenant = ?"
                " AND doc_id = ? AND root != ?",
                [(root, run.collection, tenant, doc, root) for doc, root in roots.items()],
            )

    def enter(
        self, run: Run, tenant: str, rows: Sequence[LedgerRow], *, found: bool = False
    ) -> None:
        """Enters rows that Milvus has acknowledged, or that were `found` in it."""
        with self._checkpoint(run, written=0 if found else len(rows)):
            self._db.executemany(
                "INSERT OR REPLACE INTO rows (collection, tenant, key, doc_id, chunk_index,"
                " content_hash, embedding_model, chunker, last_embedded_at, extra, run)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        run.collection,
                        tenant,
                        r.key,
                        r.doc_id,
                        r.chunk_index,
                        r.content_hash,
                        r.embedding_model,
                        r.chunker,
                        r.last_embedded_at,
                        r.extra,
                        0 if found else run.id,
                    )
                    for r in rows
                ],
            )

    def complete(self, run: Run, tenant: str, documents: Mapping[str, int]) -> None:
        """Marks documents (id -> chunks) as wholly written; their surplus rows are gone."""
        with self._checkpoint(run):
            self._db.executemany(
                "UPDATE documents SET state = 'written', chunks = ?"
                " WHERE collection = ? AND tenant = ? AND doc_id = ?",
                [(chunks, run.collection, tenant, doc) for doc, chunks in documents.items()],
            )

    def forget(self, run: Run, keys: Iterable[str]) -> None:
        """Removes rows that are proven gone from the store."""
        listed = [(run.collection, key) for key in keys]
        with self._checkpoint(run, deleted=len(listed)):
            self._db.executemany("DELETE FROM rows WHERE collection = ? AND key = ?", listed)

    def forget_documents(self, run: Run, tenant: str, documents: Iterable[str]) -> None:
        """Removes documents that have no rows left."""
        with self._checkpoint(run):
            self._db.executemany(
                "DELETE FROM documents WHERE collection = ? AND tenant = ? AND doc_id = ?",
                [(run.collection, tenant, doc) for doc in documents],
            )

    def hand_over(
        self,
        run: Run,
        source: str,
        model: str,
        embedded_at: int,
        digests: Mapping[tuple[str, str], str],
    ) -> int:
        """Gives the run's collection the rows and documents of `source`, embedded by another
        model, in place of what the ledger has of it; returns the number of rows.

        `digests` are those of documents, by tenant and id, under the new model. The others keep
        theirs, which name the old one: the next ingestion looks at each such document once more,
        and embeds none that is unchanged.
        """
        with self._checkpoint(run):
            for table in ("rows", "documents"):
                self._db.execute(f"DELETE FROM {table} WHERE collection = ?", (run.collection,))  # noqa: S608
            entered = self._db.execute(
                "INSERT INTO rows (collection, key, tenant, doc_id, chunk_index, content_hash,"
                " embedding_model, chunker, last_embedded_at, extra) SELECT ?, key, tenant, doc_id,"
                " chunk_index, content_hash, ?, chunker, ?, extra FROM rows WHERE collection = ?",
                (run.collection, model, embedded_at, source),
            )
            self._db.execute(
                "INSERT INTO documents (collection, tenant, doc_id, digest, state, chunks, root)"
                " SELECT ?, tenant, doc_id, digest, state, chunks, root"
                " FROM documents WHERE collection = ?",
                (run.collection, source),
            )
            self._db.executemany(
                "UPDATE documents SET digest = ?"
                " WHERE collection = ? AND tenant = ? AND doc_id = ?",
                [(digest, run.collection, *document) for document, digest in digests.items()],
            )
        return int(entered.rowcount)

    def forget_collection(self, run: Run) -> None:
        """Removes all that the ledger has of a collection that is no more."""
        with self._checkpoint(run):
            for table in ("rows", "documents", "collections"):
                self._db.execute(f"DELETE FROM {table} WHERE collection = ?", (run.collection,))  # noqa: S608

    def verified(self, run: Run) -> None:
        """Notes that the rows of this run and those before it were read back."""
        with self._checkpoint(run):
            self._db.execute("UPDATE runs SET verified_at = ? WHERE id = ?", (_now_ms(), run.id))

    # --- inside

    def _begin(
        self, collection: str, me: Owner, deadline: float, waiting: Callable[[str], None] | None
    ) -> Run:
        while True:
            try:
                with self._transaction():
                    lease.claim(self._db, collection, me)
                    cursor = self._db.execute(
                        "INSERT INTO runs (collection, started_at, checkpoint_at) VALUES (?, ?, ?)",
                        (collection, _now_ms(), _now_ms()),
                    )
                    return Run(int(cursor.lastrowid or 0), collection, me)
            except LedgerBusy as busy:
                if time.monotonic() >= deadline:
                    raise
                if waiting is not None:
                    waiting(busy.message)
                    waiting = None
                time.sleep(_POLL)

    @contextmanager
    def _checkpoint(self, run: Run, *, written: int = 0, deleted: int = 0) -> Iterator[None]:
        """One transaction that also proves that the run still holds the collection."""
        if self._shared is not None:
            self._shared.check()
        with self._transaction():
            if not lease.renew(self._db, run.collection, run.owner):
                raise LedgerBusy(
                    f"another ingestion took over `{run.collection}`; this one stops",
                    hint="run it again when the other one has ended",
                    subject=run.collection,
                )
            yield
            self._db.execute(
                "UPDATE runs SET checkpoint_at = ?, rows_written = rows_written + ?,"
                " rows_deleted = rows_deleted + ? WHERE id = ?",
                (_now_ms(), written, deleted, run.id),
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guard(), transaction(self._db):
            yield


def ledger_file(loaded: LoadedSpec) -> Path:
    """Where the ledger of a cluster is."""
    return loaded.state_dir / LEDGER_FILE


def open_ledger(loaded: LoadedSpec, *, create: bool = True) -> Ledger:
    """The ledger of the spec's cluster.

    With `create=False`, for those who only read, a ledger that is not there is an empty one and
    no file is made.

    Raises:
        LedgerUnreadable: damaged, of a newer version, or another cluster's.
    """
    file = ledger_file(loaded)
    where = file if create or file.exists() else None
    return Ledger(where, loaded.spec.cluster.name, SharedLease(loaded))


def _now_ms() -> int:
    return int(time.time() * 1000)
