from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kitestring.errors import LedgerBusy, LedgerUnreadable
from kitestring.ingest import ledger_file
from kitestring.ingest.ledger import Ledger
from kitestring.model.ledger import LedgerRow
from kitestring.model.tally import Tally
from kitestring.observe.unfinished import unfinished_documents


def row(key: str, doc_id: str = "a.md", index: int = 0) -> LedgerRow:
    return LedgerRow(key, doc_id, index, f"hash-{key}", "m@1", "fixed/64/0/1", 1_700_000_000_000)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    with Ledger(file, "local") as opened:
        yield opened


def test_rows_come_in_the_bytewise_order_of_their_keys(ledger: Ledger, file: Path) -> None:
    with ledger.run("c") as run:
        ledger.bind(run, 7)
        ledger.announce(run, "default", {"a.md": ("digest", 4)})
        ledger.enter(run, "default", [row("b"), row("é"), row("B"), row("a1")])
        ledger.complete(run, "default", {"a.md": 4})
    with Ledger(file, "local") as again:
        assert again.has("c")
        assert again.milvus_id("c") == 7
        assert [r.key for r in again.rows("c")] == sorted(["b", "é", "B", "a1"], key=str.encode)
        assert next(again.rows("c")) == row("B")
        assert again.count("c") == 4
        assert again.labels("c") == {("m@1", "fixed/64/0/1"): 4}


def test_collections_and_tenants_are_apart(ledger: Ledger) -> None:
    with ledger.run("c") as run:
        ledger.enter(run, "one", [row("a")])
        ledger.enter(run, "two", [row("b")])
    assert ledger.count("other") == 0
    assert not ledger.has("other")
    assert [r.key for r in ledger.rows("c", "two")] == ["b"]
    assert set(ledger.document_rows("c", "one", "a.md")) == {"a"}


def test_a_document_is_pending_until_it_is_complete(ledger: Ledger) -> None:
    with ledger.run("c") as run:
        ledger.announce(run, "default", {"a.md": ("one", 10)})
        ledger.announce(run, "default", {"a.md": ("two", 3)})
        pending = ledger.documents("c", "default")["a.md"]
        # the killed run that planned ten may have sent ten
        assert (pending.state, pending.digest, pending.chunks) == ("pending", "two", 10)
        ledger.enter(run, "default", [row("k0"), row("k1", index=1), row("k2", index=2)])
        ledger.complete(run, "default", {"a.md": 3})
        written = ledger.documents("c", "default")["a.md"]
        assert (written.state, written.chunks, written.rows) == ("written", 3, 3)


def test_forgotten_rows_and_documents_are_gone(ledger: Ledger) -> None:
    with ledger.run("c") as run:
        ledger.announce(run, "default", {"a.md": ("d", 2)})
        ledger.enter(run, "default", [row("a"), row("b")])
        ledger.forget(run, ["a"])
        assert [r.key for r in ledger.rows("c")] == ["b"]
        ledger.forget(run, ["b"])
        ledger.forget_documents(run, "default", ["a.md"])
    assert ledger.document_ids("c", "default") == set()


def test_two_runs_on_one_collection_name_the_first(ledger: Ledger, file: Path) -> None:
    with ledger.run("c") as run, Ledger(file, "local") as other:
        with pytest.raises(LedgerBusy, match=str(os.getpid())), other.run("c"):
            pass
        with other.run("another") as second:
            other.enter(second, "default", [row("x")])
        ledger.enter(run, "default", [row("a")])
    with ledger.run("c"):
        pass


HOLD = """
import sys
from pathlib import Path
from kitestring.ingest import ledger_file
from kitestring.ingest.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), "local")
with ledger.run("c"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lease_of_a_killed_process_is_taken_over(ledger: Ledger, file: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LedgerBusy, match=str(holder.pid)), ledger.run("c"):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with ledger.run("c") as run:
        ledger.enter(run, "default", [row("a")])
    assert ledger.count("c") == 1


def test_a_run_whose_lease_was_taken_writes_no_more(ledger: Ledger, file: Path) -> None:
    with ledger.run("c") as run:
        with sqlite3.connect(file) as raw:
            raw.execute("UPDATE leases SET pid = pid + 1")
        with pytest.raises(LedgerBusy):
            ledger.enter(run, "default", [row("a")])
    assert ledger.count("c") == 0


def test_another_host_keeps_its_lease_until_it_is_silent_for_long(
    ledger: Ledger, file: Path
) -> None:
    with ledger.run("c"):
        with sqlite3.connect(file) as raw:
            raw.execute("UPDATE leases SET host = 'elsewhere'")
        with pytest.raises(LedgerBusy, match="elsewhere"), ledger.run("c"):
            pass
        with sqlite3.connect(file) as raw:
            raw.execute("UPDATE leases SET heartbeat = heartbeat - 3600")
        with ledger.run("c"):
            pass


def test_an_error_within_a_transaction_leaves_nothing_of_it(ledger: Ledger) -> None:
    bad = LedgerRow("z", "a.md", None, "h", "m", "c", 0)  # type: ignore[arg-type]
    with ledger.run("c") as run:
        with pytest.raises(LedgerUnreadable):
            ledger.enter(run, "default", [row("a"), bad])
        assert ledger.count("c") == 0
        ledger.enter(run, "default", [row("a")])
    assert ledger.count("c") == 1


def test_one_may_wait_for_the_other(ledger: Ledger, file: Path) -> None:
    told: list[str] = []
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()

        def let_go(message: str) -> None:
            told.append(message)
            holder.communicate()

        with ledger.run("c", wait=60.0, waiting=let_go) as run:
            ledger.enter(run, "default", [row("a")])
    finally:
        holder.kill()
        holder.communicate()
    assert len(told) == 1
    assert f"process {holder.pid} on" in told[0]
    assert ", since 20" in told[0]


def test_rows_are_unverified_until_a_run_has_read_them_back(ledger: Ledger) -> None:
    with ledger.run("c") as killed:
        ledger.enter(killed, "default", [row("a")])
        ledger.enter(killed, "default", [row("found")], found=True)
    with ledger.run("c") as run:
        ledger.enter(run, "default", [row("b")])
        assert [r.key for r in ledger.unverified("c")] == ["a", "b"]
        ledger.verified(run)
        assert list(ledger.unverified("c")) == []
    with ledger.run("c") as later:
        ledger.enter(later, "default", [row("a")])
        assert [r.key for r in ledger.unverified("c")] == ["a"]


def test_a_ledger_of_the_first_version_is_brought_up_to_date(file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as raw:
        raw.executescript(ledger_file._TABLES)
        raw.execute("INSERT INTO meta VALUES ('cluster', 'local')")
        raw.execute("INSERT INTO rows VALUES ('c','k','default','a.md',0,'h','m@1','f',1)")
        raw.execute("INSERT INTO documents VALUES ('c','default','a.md','d','written',1)")
        raw.execute("PRAGMA user_version = 1")
    for _ in range(2):
        with Ledger(file, "local") as opened:
            assert list(opened.rows("c")) == [LedgerRow("k", "a.md", 0, "h", "m@1", "f", 1)]
            assert opened.roots("c", "default") == {"a.md": ""}
            with opened.run("c"):
                assert list(opened.unverified("c")) == []


def test_another_clusters_ledger_is_refused(ledger: Ledger, file: Path) -> None:
    with pytest.raises(LedgerUnreadable, match="belongs to the cluster `local`, not to `prod`"):
        Ledger(file, "prod")


def test_a_newer_ledger_is_refused(ledger: Ledger, file: Path) -> None:
    ledger.close()
    with sqlite3.connect(file) as raw:
        raw.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerUnreadable, match="version 99"):
        Ledger(file, "local")


def test_a_damaged_ledger_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "ledger.sqlite"
    broken.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(LedgerUnreadable, match=r"ledger\.sqlite can't be used"):
        Ledger(broken, "local")
    assert broken.read_bytes().startswith(b"this is no database")


def test_reading_makes_no_file() -> None:
    with Ledger(None, "local") as nothing:
        assert not nothing.has("c")
        assert list(nothing.rows("c")) == []


def test_what_a_run_left_unfinished_is_told_until_another_finishes_it(ledger: Ledger) -> None:
    with ledger.run("c") as run:
        assert ledger.writing("c")
        ledger.announce(run, "one", {"a.md": ("d", 2), "b.md": ("d", 1), "c.md": ("d", 1)})
        ledger.enter(run, "one", [row("a0"), row("b0", "b.md"), row("c0", "c.md")])
        ledger.complete(run, "one", {"b.md": 1, "c.md": 1})
        assert unfinished_documents(ledger, "c") == Tally()  # at work on it
    assert not ledger.writing("c")
    assert unfinished_documents(ledger, "c") == Tally(1, ("a.md",))
    with ledger.run("c") as run:
        ledger.forget(run, ["c0"])  # gone from the collection
    assert unfinished_documents(ledger, "c") == Tally(2, ("a.md", "c.md"))
    with ledger.run("c") as run:
        ledger.enter(run, "one", [row("a1"), row("c0", "c.md")])
        ledger.complete(run, "one", {"a.md": 2, "c.md": 1})
    assert unfinished_documents(ledger, "c") == Tally()


def test_a_killed_run_is_not_at_work(ledger: Ledger, file: Path) -> None:
    with ledger.run("c") as run:
        ledger.announce(run, "one", {"a.md": ("d", 2)})
        with sqlite3.connect(file) as db:
            db.execute("UPDATE leases SET started = started - 1")
        assert ledger.busy("c")
        assert not ledger.writing("c")
        assert unfinished_documents(ledger, "c").examples == ("a.md",)
