"""What an executor is, and which one to open."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from kitestring.errors import UsageError

Part = TypeVar("Part")
Result = TypeVar("Result")

SERIAL, POOL, RAY = "serial", "pool", "ray"
ADDRESS = "RAY_ADDRESS"


class Executor(Protocol):
    """Runs parts; see the package."""

    @property
    def name(self) -> str:
        """`serial`, `pool` or `ray`."""
        ...

    @property
    def workers(self) -> int:
        """How many parts are worked on at a time."""
        ...

    @property
    def shares_files(self) -> bool:
        """Whether the workers see the files of this process's directories."""
        ...

    def run(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """The results, in the order of the parts.

        Raises:
            WorkerLost: a worker ended before its part did. And what `work` raises.
        """
        ...


class Serial:
    """One part after the other, in this process."""

    name, workers, shares_files = SERIAL, 1, True

    def run(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        return map(work, parts)


@contextmanager
def open_executor(on: str | None = None, *, workers: int | None = None) -> Iterator[Executor]:
    """An executor, closed with everything that it started.

    Args:
        on: `serial`, `pool`, `ray` or the address of a Ray cluster (`ray://host:10001`,
            `host:6379`). None for Ray where RAY_ADDRESS is set, and the pool otherwise. `ray`
            is the cluster of RAY_ADDRESS, or one that is started on this machine.
        workers: processes of the pool; None for one of each processor.

    Raises:
        UsageError: `on` is something else, or Ray is not installed.
        WorkersUnreachable: there is no Ray cluster at the address.
    """
    require_known(on)
    chosen = on or (RAY if os.environ.get(ADDRESS) else POOL)
    if chosen == SERIAL:
        yield Serial()
    elif chosen == POOL:
        from kitestring.parallel.pool import open_pool

        with open_pool(workers or processors()) as pool:
            yield pool
    else:
        from kitestring.parallel.ray import open_ray

        with open_ray(os.environ.get(ADDRESS) if chosen == RAY else chosen) as cluster:
            yield cluster


def require_known(on: str | None) -> None:
    """Raises UsageError where `on` is nothing that `open_executor` takes."""
    if on is not None and on not in (SERIAL, POOL, RAY) and ":" not in on:
        raise UsageError(
            f"`{on}` is nothing to run on",
            hint="serial, pool, ray, or the address of a Ray cluster such as ray://host:10001",
        )


def processors() -> int:
    """The processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def in_order(
    submit: Callable[[Part], Any],
    result: Callable[[Any], Result],
    parts: Iterable[Part],
    ahead: int,
) -> Iterator[Result]:
    """Submits parts, at most `ahead` of the one whose result is waited for."""
    waiting: deque[Any] = deque()
    for part in parts:
        waiting.append(submit(part))
        if len(waiting) >= ahead:
            yield result(waiting.popleft())
    while waiting:
        yield result(waiting.popleft())
