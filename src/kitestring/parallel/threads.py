"""Threads of this process, for parts that mostly wait for a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from kitestring.parallel.executor import Part, Result, in_order


class Threads:
    """Some threads, for as long as a run takes."""

    name, shares_files = "threads", True

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        executor = ThreadPoolExecutor(self.workers, "part")
        try:
            yield from in_order(
                lambda part: executor.submit(work, part),
                lambda future: future.result(),
                parts,
                2 * self.workers,
            )
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
