"""The tables of a ledger file, and how those of an earlier version become today's."""

from __future__ import annotations

import sqlite3

from kitestring.clients.sqlite import transaction
from kitestring.errors import LedgerUnreadable

LEDGER_VERSION = 2
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE collections (
    collection TEXT PRIMARY KEY, milvus_id INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE rows (
    collection TEXT NOT NULL, key TEXT NOT NULL, tenant TEXT NOT NULL, doc_id TEXT NOT NULL,
    chunk_index INTEGER NOT NULL, content_hash TEXT NOT NULL, embedding_model TEXT NOT NULL,
    chunker TEXT NOT NULL, last_embedded_at INTEGER NOT NULL,
    PRIMARY KEY (collection, key)
) WITHOUT ROWID;
CREATE INDEX rows_by_document ON rows (collection, tenant, doc_id);
CREATE TABLE documents (
    collection TEXT NOT NULL, tenant TEXT NOT NULL, doc_id TEXT NOT NULL, digest TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'written')), chunks INTEGER NOT NULL,
    PRIMARY KEY (collection, tenant, doc_id)
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, collection TEXT NOT NULL, started_at INTEGER NOT NULL,
    checkpoint_at INTEGER NOT NULL, finished_at INTEGER, rows_written INTEGER NOT NULL DEFAULT 0,
    rows_deleted INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE leases (
    collection TEXT PRIMARY KEY, pid INTEGER NOT NULL, started REAL NOT NULL, host TEXT NOT NULL,
    heartbeat REAL NOT NULL
) WITHOUT ROWID;
"""
# version 1 -> 2: what a row has beside its passage, the run that wrote it, whether that run's rows
# were read back, the directory that a document was found in, and since when a lease is held
_SECOND = """
ALTER TABLE rows ADD COLUMN extra TEXT NOT NULL DEFAULT '';
ALTER TABLE rows ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN verified_at INTEGER;
ALTER TABLE documents ADD COLUMN root TEXT NOT NULL DEFAULT '';
ALTER TABLE leases ADD COLUMN since REAL NOT NULL DEFAULT 0;
"""


def prepare(db: sqlite3.Connection, where: str, cluster: str) -> None:
    """Makes the tables of a new file, or brings an older file's up to date, in one transaction.

    Raises:
        LedgerUnreadable: of a newer version, or another cluster's.
        sqlite3.Error: damaged.
    """
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # in WAL mode, safe against a killed process
    with transaction(db):
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version == 0:
            _run(db, _TABLES)
            db.execute("INSERT INTO meta VALUES ('cluster', ?)", (cluster,))
        _require_ours(db, where, cluster, version)
        if version < LEDGER_VERSION:
            _run(db, _SECOND)
            db.execute(f"PRAGMA user_version = {LEDGER_VERSION}")


def _require_ours(db: sqlite3.Connection, where: str, cluster: str, version: int) -> None:
    if version > LEDGER_VERSION:
        raise LedgerUnreadable(
            f"the ledger {where} has version {version}; this kitestring reads {LEDGER_VERSION}",
            hint="use the newer kitestring that wrote it",
            subject=where,
        )
    owner = db.execute("SELECT value FROM meta WHERE name = 'cluster'").fetchone()
    if owner is None or owner[0] != cluster:
        raise LedgerUnreadable(
            f"the ledger {where} belongs to the cluster `{owner[0] if owner else ''}`, "
            f"not to `{cluster}`",
            hint="give each cluster a `state` directory of its own",
            subject=where,
        )


def _run(db: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        if statement.strip():
            db.execute(statement)
