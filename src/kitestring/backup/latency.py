"""Copying pauses while searches of the server are slow.

The latency is measured by a search of our own, every few seconds: it is what a user of the proxy
would see, and it needs no access to metrics.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import fmean

from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.store.throttle import Throttle
from kitestring.errors import KitestringError
from kitestring.model.collection import CollectionInfo

INTERVAL = 2.0  # seconds between two probes
_PROBES = 3  # the mean is over so many
Probe = Callable[[], float]
"""Asks the server something, and returns the seconds that the answer took."""


class LatencyGuard:
    """Pauses a throttle while the mean of the last probes is above a limit (seconds)."""

    def __init__(
        self, throttle: Throttle, probe: Probe, limit: float, tell: Callable[[str], None]
    ) -> None:
        self._throttle, self._probe, self._limit, self._tell = throttle, probe, limit, tell
        self._recent: deque[float] = deque(maxlen=_PROBES)
        self.pauses = 0

    def look(self) -> None:
        """One probe, and what follows from it. A probe that fails counts with its duration: who
        refuses at once is not slow."""
        began = time.monotonic()
        try:
            took = self._probe()
        except KitestringError:
            took = time.monotonic() - began
        self._recent.append(took)
        mean = fmean(self._recent)
        if mean > self._limit and not self._throttle.paused:
            self._throttle.pause()
            self.pauses += 1
            self._tell(f"searches take {mean:.2f} s: copying pauses")
        elif mean <= self._limit and self._throttle.paused:
            self._throttle.resume()
            self._tell(f"searches take {mean:.2f} s: copying goes on")


@contextmanager
def guarded(
    throttle: Throttle,
    probe: Probe | None,
    limit: float | None,
    tell: Callable[[str], None],
    *,
    interval: float = INTERVAL,
) -> Iterator[None]:
    """Within it, the throttle is paused while searches are slow. Without limit or probe: never."""
    if probe is None or limit is None:
        yield
        return
    guard = LatencyGuard(throttle, probe, limit, tell)
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            guard.look()
            ended.wait(interval)

    thread = threading.Thread(target=watch, name="latency", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        throttle.resume()
        thread.join(interval)


def search_probe(milvus: Milvus, infos: Sequence[CollectionInfo]) -> Probe | None:
    """A search of one vector in a loaded collection; None where none is loaded."""
    for info in infos:
        indexed = {state.index.field for state in info.indexes} if info.loaded else set()
        for field in info.schema.vectors:
            if field.type == "FLOAT_VECTOR" and field.name in indexed:
                return partial(_search, milvus, info.name, field.name, [0.1] * (field.dim or 1))
    return None


def _search(milvus: Milvus, name: str, field: str, vector: Sequence[float]) -> float:
    began = time.monotonic()
    milvus.search(name, [vector], limit=1, field=field, strong=False)
    return time.monotonic() - began
