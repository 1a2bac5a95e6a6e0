"""The lease of a collection: one ingestion at a time, and a dead one's lease blocks nobody.

It is a row of the ledger, with its owner and a sign of life that a thread renews. So it holds
among all who share the ledger's directory; who writes with a ledger elsewhere is not seen.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from kitestring.clients.lease import Owner, owner_lives
from kitestring.errors import LedgerBusy

EXPIRES = 900.0  # seconds without a sign of life, for an owner on another host
_RENEW = 60.0  # seconds between two signs of life
_MINE = "collection = ? AND pid = ? AND started = ? AND host = ?"


def claim(db: sqlite3.Connection, collection: str, me: Owner) -> None:
    """Takes the lease of a collection; within a transaction of the caller.

    Raises:
        LedgerBusy: a living process holds it; the message names it.
    """
    now = time.time()
    held = db.execute(
        "SELECT pid, started, host, heartbeat, since FROM leases WHERE collection = ?",
        (collection,),
    ).fetchone()
    if held is not None:
        other = Owner(int(held[0]), float(held[1]), str(held[2]))
        if owner_lives(other, silent=now - float(held[3]), expires=EXPIRES):
            since = f", since {_clock(float(held[4]))}" if held[4] else ""
            raise LedgerBusy(
                f"another ingestion into `{collection}` runs: process {other.pid} "
                f"on {other.host}{since}",
                hint="`--wait 10m` waits for it; or stop it: its finished batches are kept. "
                "The lease of a process that died is taken over by itself "
                f"(from another host after {EXPIRES:g} s)",
                subject=collection,
            )
    db.execute(
        "INSERT OR REPLACE INTO leases (collection, pid, started, host, heartbeat, since)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (collection, me.pid, me.started, me.host, now, now),
    )


def is_held(db: sqlite3.Connection, collection: str) -> bool:
    """Whether a living process holds the lease of a collection."""
    held = db.execute(
        "SELECT pid, started, host, heartbeat FROM leases WHERE collection = ?", (collection,)
    ).fetchone()
    if held is None:
        return False
    owner = Owner(int(held[0]), float(held[1]), str(held[2]))
    return owner_lives(owner, silent=time.time() - float(held[3]), expires=EXPIRES)


def renew(db: sqlite3.Connection, collection: str, me: Owner) -> bool:
    """A sign of life; false when the lease is another's now."""
    done = db.execute(
        f"UPDATE leases SET heartbeat = ? WHERE {_MINE}",  # noqa: S608 - a constant
        (time.time(), *_values(collection, me)),
    )
    return done.rowcount == 1


def release(db: sqlite3.Connection, collection: str, me: Owner) -> None:
    """Gives the lease back, if it still is ours."""
    db.execute(f"DELETE FROM leases WHERE {_MINE}", _values(collection, me))  # noqa: S608


@contextmanager
def alive(where: str, collection: str, me: Owner) -> Iterator[None]:
    """Within it, a thread gives signs of life: a model may take longer over a batch than a lease
    lasts."""
    if where == ":memory:":
        yield
        return
    over = threading.Event()

    def beat() -> None:
        while not over.wait(_RENEW):
            # one that is missed is no harm: the next checkpoint is a sign of life too
            with suppress(sqlite3.Error):
                db = sqlite3.connect(where, timeout=30, isolation_level=None)
                try:
                    renew(db, collection, me)
                finally:
                    db.close()

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _values(collection: str, me: Owner) -> tuple[str, int, float, str]:
    return collection, me.pid, me.started, me.host


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
