"""Copying pauses while searches are slow, and goes on when they are not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kitestring.backup.create import create_backup
from kitestring.backup.latency import LatencyGuard, guarded, search_probe
from kitestring.backup.logical.create import create_logical
from kitestring.clients.store.memory import MemoryStore
from kitestring.clients.store.throttle import Throttle, ThrottledStore
from kitestring.errors import MilvusError
from kitestring.spec.backup import Budget
from kitestring.spec.loaded import LoadedSpec


def guard(throttle: Throttle, latencies: Iterator[float], lines: list[str]) -> LatencyGuard:
    return LatencyGuard(throttle, lambda: next(latencies), 0.5, lines.append)


def test_the_mean_of_the_last_probes_decides() -> None:
    throttle, lines = Throttle(), list[str]()
    looked = guard(throttle, iter([0.1, 0.2, 0.9, 2.0, 0.1, 0.1, 0.1]), lines)
    states = []
    for _ in range(7):
        looked.look()
        states.append(throttle.paused)
    assert states == [False, False, False, True, True, True, False]
    assert looked.pauses == 1
    assert ["pauses" in lines[0], "goes on" in lines[1], len(lines)] == [True, True, 2]


def test_a_server_that_refuses_at_once_is_not_slow() -> None:
    def probe() -> float:
        raise MilvusError("not loaded")

    throttle = Throttle()
    LatencyGuard(throttle, probe, 0.5, lambda _line: None).look()
    assert not throttle.paused


def test_copies_wait_for_a_slow_server() -> None:
    throttle, slow = Throttle(), threading.Event()
    slow.set()
    asked = threading.Semaphore(0)

    def probe() -> float:
        asked.release()
        return 9.0 if slow.is_set() else 0.0

    source = MemoryStore()
    source.put("k", b"value")
    store = ThrottledStore(MemoryStore(), throttle)
    with (
        ThreadPoolExecutor(1) as executor,
        guarded(throttle, probe, 0.5, lambda _line: None, interval=0.01),
    ):
        for _ in range(3):
            assert asked.acquire(timeout=10)
        copy = executor.submit(store.copy_from, source, "k", "k")
        for _ in range(5):
            assert asked.acquire(timeout=10)
        assert not copy.done()
        slow.clear()
        assert copy.result(10)[0] == 5
    assert not throttle.paused


def test_a_loaded_collection_is_searched(server: Any, loaded: LoadedSpec) -> None:
    searches: list[str] = []
    server.search = lambda name, vectors, **options: searches.append(name) or [[]]
    probe = search_probe(server, [server.describe("docs")])
    assert probe is not None
    assert probe() >= 0
    assert searches == ["docs"]
    for create in (create_backup, create_logical):
        before = len(searches)
        made = create(loaded, server, budget=Budget(max_search_latency=60.0))
        assert made.rows == 40
        assert len(searches) > before


def test_without_a_loaded_collection_that_is_said(server: Any, loaded: LoadedSpec) -> None:
    server.create_collection("other", server.describe("docs").schema)
    lines: list[str] = []
    create_backup(
        loaded, server, collections=["other"], budget=Budget(max_search_latency=1.0),
        on_event=lines.append,
    )  # fmt: skip
    assert any("no collection is loaded" in line for line in lines)


@pytest.mark.parametrize("limit", [None, 1.0])
def test_nothing_is_asked_without_a_limit_or_a_probe(limit: float | None) -> None:
    throttle = Throttle()
    with guarded(throttle, None, limit, lambda _line: None):
        assert not throttle.paused
