"""What a budget lets through, by a clock of the test's own and by a real one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.memory import MemoryStore
from kitestring.clients.store.protocol import bare
from kitestring.clients.store.throttle import Throttle, ThrottledStore, budgeted
from kitestring.errors import Interrupted
from kitestring.spec.backup import Budget


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def throttle(clock: Clock, **limits: float) -> Throttle:
    return Throttle(**limits, clock=clock, sleep=clock.sleep)


def test_bytes_come_at_the_rate_that_was_named() -> None:
    clock = Clock()
    limited = throttle(clock, max_bytes_per_second=1000)
    for _ in range(50):
        limited.bytes(100)
    assert clock.now - 100 == pytest.approx(5.0, rel=0.15)


def test_requests_come_at_the_rate_that_was_named() -> None:
    clock = Clock()
    store = ThrottledStore(MemoryStore(), throttle(clock, max_requests_per_second=20))
    for number in range(100):
        store.put(f"k{number}", b"")
    assert clock.now - 100 == pytest.approx(5.0, rel=0.15)
    assert len(list(store.list(""))) == 100


def test_a_pause_saves_up_no_more_than_a_moment_s_worth() -> None:
    clock = Clock()
    limited = throttle(clock, max_bytes_per_second=1000)
    clock.now += 3600
    limited.bytes(2000)
    assert clock.now - 3700 > 1.5


def test_what_a_server_copies_by_itself_counts_afterwards() -> None:
    class WithinServer(MemoryStore):
        def copies_within(self, other: object) -> bool:
            return True

    clock = Clock()
    source = MemoryStore()
    for number in range(10):
        source.put(f"k{number}", bytes(1000))
    store = ThrottledStore(WithinServer(), throttle(clock, max_bytes_per_second=1000))
    for number in range(10):
        store.copy_from(source, f"k{number}", f"c{number}")
    assert clock.now - 100 == pytest.approx(9.0, rel=0.15)  # the last one's is not waited for


def test_no_limits_put_nothing_around_a_store() -> None:
    store = MemoryStore()
    assert budgeted(store, Budget()) is store
    limited = budgeted(store, Budget(max_bytes_per_second=2000))
    assert bare(limited) is store


@pytest.mark.parametrize("threads", [1, 8])
def test_real_copies_do_not_exceed_the_limit_by_15_percent(tmp_path: Path, threads: int) -> None:
    source = LocalStore(tmp_path / "source")
    for number in range(16):
        source.put(f"k{number}", bytes(512 * 1024))
    limit = 4 * 1024 * 1024
    store = ThrottledStore(LocalStore(tmp_path / "copy"), Throttle(limit))
    began = time.monotonic()
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(lambda n: store.copy_from(source, f"k{n}", f"k{n}"), range(16)))
    rate = 16 * 512 * 1024 / (time.monotonic() - began)
    assert rate <= limit * 1.15  # how far below depends on how busy this machine is


def test_who_waits_is_told_that_it_was_stopped() -> None:
    limited, paused = Throttle(1), Throttle()
    limited.spent(10_000)
    paused.pause()
    with ThreadPoolExecutor(2) as executor:
        waiting = [executor.submit(limited.bytes, 10), executor.submit(paused.request)]
        assert not wait(waiting, 0.1).done
        limited.stop()
        paused.stop()
        for future in waiting:
            with pytest.raises(Interrupted):
                future.result(5)
    with pytest.raises(Interrupted):
        limited.request()
    paused.restart()
    paused.request()


def test_nothing_goes_through_while_it_is_paused() -> None:
    limited = Throttle()
    store = ThrottledStore(MemoryStore(), limited)
    limited.pause()
    writer = threading.Thread(target=store.put, args=("k", b"v"))
    writer.start()
    writer.join(0.1)
    assert writer.is_alive()
    assert store.head is not None
    assert "k" not in store.plain.objects  # type: ignore[attr-defined]
    limited.resume()
    writer.join(5)
    assert store.plain.get("k") == b"v"
