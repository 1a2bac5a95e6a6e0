"""A backup that is killed, wherever it is, costs the next one nothing and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.job import Job, ask_to_stop, job_ids, leftovers, read_state
from kitestring.backup.lock import held
from kitestring.backup.verify import verify
from kitestring.backup.watch import cancel, sight
from kitestring.clients.milvus.waiting import wait_until
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import BackupNotFound, Interrupted, StoreFull
from kitestring.model.backup import StoredObject
from kitestring.spec.loaded import LoadedSpec
from tests.unit.backup.killing import explained, killed_at, killed_at_every_step


def test_killed_at_every_step(server: Any, loaded: LoadedSpec, tmp_path: Path) -> None:
    create_backup(loaded, server)
    server.upsert("docs", [f"k{n:03d}" for n in range(30, 60)], version=1)
    server.persist("docs")
    steps = killed_at_every_step(create_backup, loaded, server, tmp_path / "clean")
    print(f"{steps} steps")
    assert steps > 20


def test_what_was_copied_before_a_crash_is_not_copied_again(
    server: Any, loaded: LoadedSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitestring.backup.job._BATCH", 1)
    store = MemoryStore()
    monkeypatch.setattr("kitestring.backup.create.open_catalog", lambda _: Catalog(store))

    def crash(operation: str, key: str) -> None:
        if operation == "put" and key.startswith("backups/"):
            raise StoreFull("no space is left")

    store.before = crash
    with pytest.raises(StoreFull):
        create_backup(loaded, server)
    [left] = leftovers(store)
    assert len(left.copied) == len(list(store.list("pool/")))
    store.before = lambda operation, key: (
        pytest.fail(f"{key} is written again")
        if operation == "put" and key.startswith("pool/")
        else None
    )
    made = create_backup(loaded, server)
    assert (made.copied_bytes, job_ids(store)) == (0, [])


def test_objects_of_a_dead_job_that_nobody_needs_are_removed(
    server: Any, loaded: LoadedSpec
) -> None:
    catalog = open_catalog(loaded)

    def vanish() -> None:
        # sealed segments are copied while the server flushes
        wait_until(lambda: any(catalog.store.list("pool/")), timeout=60, what="a copy")
        raise KeyboardInterrupt

    server.after_flush = vanish
    with pytest.raises(KeyboardInterrupt):
        create_backup(loaded, server)
    server.after_flush = lambda: None
    server.compact("docs")
    server.collect("docs")
    lines: list[str] = []
    create_backup(loaded, server, on_event=lines.append)
    assert any("removed" in line for line in lines)
    explained(catalog)


def test_an_object_that_an_older_backup_needs_is_never_swept(
    server: Any, loaded: LoadedSpec
) -> None:
    first = create_backup(loaded, server)
    catalog = open_catalog(loaded)
    lost = first.collections[0].segments[0].insert[2]
    catalog.store.delete(lost.key)

    def stop() -> None:
        wait_until(lambda: catalog.store.head(lost.key), timeout=60, what="the lost object")
        raise KeyboardInterrupt

    server.after_flush = stop
    with pytest.raises(KeyboardInterrupt):
        create_backup(loaded, server)  # brings it back, and dies
    server.after_flush = lambda: None
    server.compact("docs")
    server.collect("docs")
    create_backup(loaded, server)
    assert verify(catalog, first.id).passed


def test_progress_is_counted_and_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    store, now = MemoryStore(), [0.0]
    with held(store, "a backup") as lock:
        job = Job(store, lock, "20250101T000000Z-abcdef", "unit", clock=lambda: now[0])
        job.phase("copying", "docs", objects=4, size=4000)
        for number in range(2):
            now[0] += 1.0
            job.copied(StoredObject(f"pool/{number}", f"{number}", 1000, "0" * 64))
            job.progress(1000)
        seen = sight(Catalog(store)).job
        assert seen is not None
        assert (seen.phase, seen.collection) == ("copying", "docs")
        assert (seen.objects_done, seen.bytes_done, seen.bytes_total) == (2, 2000, 4000)
        assert (seen.rate, seen.eta) == (1000.0, 2.0)
        assert [o.key for o in leftovers(store)[0].copied] == ["pool/0", "pool/1"]
        job.phase("publishing")
        assert job.seconds["copying"] == 2.0
        job.done()
    assert not store.objects


def test_a_job_that_is_asked_to_stop_stops(server: Any, loaded: LoadedSpec) -> None:
    catalog = open_catalog(loaded)
    monkey = pytest.MonkeyPatch()
    monkey.setattr("kitestring.backup.job._EVERY", 0.0)

    def ask() -> None:
        ask_to_stop(catalog.store, job_ids(catalog.store)[0])

    server.after_flush = ask
    try:
        with pytest.raises(Interrupted, match="cancelled"):
            create_backup(loaded, server)
    finally:
        monkey.undo()
    state = read_state(catalog.store, job_ids(catalog.store)[0])
    assert state is not None
    assert (state.outcome, sight(catalog).exit_code) == ("cancelled", 1)
    assert catalog.summaries() == []
    assert not list(catalog.store.list("locks/"))
    server.after_flush = lambda: None
    create_backup(loaded, server)
    explained(catalog)
    assert sight(catalog).status == "none"


def test_nothing_can_be_stopped_where_nothing_runs(loaded: LoadedSpec) -> None:
    with pytest.raises(BackupNotFound, match="no backup runs"):
        cancel(open_catalog(loaded))


def test_a_killed_job_is_seen_as_dead(server: Any, loaded: LoadedSpec) -> None:
    assert killed_at(8, create_backup, loaded, server)
    seen = sight(open_catalog(loaded))
    assert (seen.status, seen.exit_code) == ("died", 1)
    assert seen.job is not None


def test_a_failed_job_says_why(server: Any, loaded: LoadedSpec) -> None:
    server.skew = 120_000
    with pytest.raises(Exception, match="clock"):
        create_backup(loaded, server)
    seen = sight(open_catalog(loaded))
    assert (seen.status, seen.exit_code) == ("failed", 1)
    assert seen.job is not None
    assert "clock" in seen.job.message
