"""One backup at a time; the lock of a dead one blocks nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from kitestring.backup.lock import KEY, LENGTH, LockState, held
from kitestring.clients.lease import Owner, this_process
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import BackupBusy
from kitestring.model.codec import to_plain


def lock_of(store: MemoryStore, owner: Owner, renewed: int = 0) -> None:
    state = LockState(owner, "token", renewed, "a backup")
    store.put(KEY, json.dumps(to_plain(state)).encode())


def dead_process() -> Owner:
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    return replace(this_process(), pid=int(process.stdout))


def test_a_second_one_is_turned_away_and_told_by_whom() -> None:
    store = MemoryStore()
    with held(store, "a backup"):
        with pytest.raises(BackupBusy, match=f"process {this_process().pid}"), held(store, "x"):
            pass
        assert store.head(KEY)
    assert not store.head(KEY)


def test_the_lock_of_a_dead_process_is_taken_over() -> None:
    store = MemoryStore()
    lock_of(store, dead_process())
    with held(store, "a backup"):
        assert json.loads(store.get(KEY))["owner"]["pid"] == this_process().pid


def test_the_lock_of_a_process_whose_number_is_another_s_now_is_taken_over() -> None:
    store = MemoryStore()
    lock_of(store, replace(this_process(), started=1.0))
    with held(store, "a backup"):
        pass


@pytest.mark.parametrize(("age", "busy"), [(LENGTH / 2, True), (LENGTH * 2, False)])
def test_another_host_s_lock_holds_until_it_expires(
    monkeypatch: pytest.MonkeyPatch, age: float, busy: bool
) -> None:
    store = MemoryStore()
    lock_of(store, Owner(1, 1.0, "elsewhere"), renewed=1_000_000)
    monkeypatch.setattr("kitestring.clients.store.lock._now", lambda: 1_000_000 + int(age * 1000))
    if busy:
        with pytest.raises(BackupBusy, match="on elsewhere"), held(store, "a backup"):
            pass
    else:
        with held(store, "a backup"):
            pass


def test_an_unreadable_lock_is_taken_over() -> None:
    store = MemoryStore()
    store.put(KEY, b"{")
    with held(store, "a backup"):
        pass


def test_who_lost_the_lock_may_not_publish_and_leaves_the_new_one() -> None:
    store = MemoryStore()
    with held(store, "a backup") as lock:
        lock_of(store, Owner(1, 1.0, "elsewhere"))
        with pytest.raises(BackupBusy, match="taken over"):
            lock.check()
    assert store.head(KEY)


def test_a_long_backup_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    with held(store, "a backup") as lock:
        before = json.loads(store.get(KEY))
        lock.renew()
        assert json.loads(store.get(KEY)) == before  # not due yet
        monkeypatch.setattr(
            "kitestring.clients.store.lock._now", lambda: before["renewed"] + 90_000
        )
        lock._due = 0.0
        lock.renew()
        assert json.loads(store.get(KEY))["renewed"] == before["renewed"] + 90_000
