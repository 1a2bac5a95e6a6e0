"""Processes of this machine, started afresh: nothing of the parent's threads or connections."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection

from kitestring.errors import WorkerLost
from kitestring.parallel.executor import POOL, Part, Result, in_order


class Pool:
    """Processes that take parts in turn."""

    name, shares_files = POOL, True

    def __init__(self, executor: ProcessPoolExecutor, workers: int) -> None:
        self._executor = executor
        self.workers = workers

    def run(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        try:
            yield from in_order(
                lambda part: self._executor.submit(work, part),
                lambda future: future.result(),
                parts,
                2 * self.workers,
            )
        except BrokenProcessPool:
            raise WorkerLost(
                "a worker process ended before its part did",
                hint="was it killed for want of memory? `--on serial` needs the least",
            ) from None


@contextmanager
def open_pool(workers: int) -> Iterator[Pool]:
    """A pool. Its processes end with it, and with this process however that ends."""
    context = multiprocessing.get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin, initargs=(lifeline,)
    )
    try:
        yield Pool(executor, workers)
    except BaseException:
        held.close()  # whatever they are at, they stop now
        executor.shutdown(wait=True, cancel_futures=True)
        raise
    else:
        executor.shutdown(wait=True, cancel_futures=True)
    finally:
        held.close()
        lifeline.close()


def _begin(lifeline: Connection) -> None:
    """Leaves Ctrl-C to the parent, and ends this process when the other end of `lifeline` goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        lifeline.poll(None)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
