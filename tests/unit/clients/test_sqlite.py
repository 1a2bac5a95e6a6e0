"""Transactions of the files that this machine keeps."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from kitestring.clients.sqlite import transaction


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    made = sqlite3.connect(tmp_path / "file.sqlite", isolation_level=None)
    made.execute("CREATE TABLE t (n)")
    return made


def fail(db: sqlite3.Connection, statement: str) -> None:
    with transaction(db):
        db.execute(statement)
        raise OSError("no space")


def test_all_or_nothing(db: sqlite3.Connection) -> None:
    with transaction(db):
        db.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(OSError, match="no space"):
        fail(db, "INSERT INTO t VALUES (2)")
    assert db.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_the_cause_is_told_when_sqlite_has_ended_the_transaction_itself(
    db: sqlite3.Connection,
) -> None:
    with pytest.raises(OSError, match="no space"):
        fail(db, "ROLLBACK")  # as SQLite does where the disk is full
