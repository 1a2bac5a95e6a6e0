"""A Ray cluster: one that is there, or one that is started on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kitestring.errors import KitestringError, UsageError, WorkerLost, WorkersUnreachable
from kitestring.parallel.executor import RAY, Part, Result, in_order

_PATIENCE = 10.0  # seconds


class Ray:
    """Tasks of a Ray cluster, one for each part."""

    name, shares_files = RAY, False

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def run(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        task = self._ray.remote(_Task(work))
        running: list[Any] = []

        def submit(part: Part) -> Any:
            running.append(task.remote(part))
            return running[-1]

        def result(reference: Any) -> Result:
            found: Result = self._ray.get(reference)
            running.remove(reference)  # or Ray would keep what it came to
            return found

        try:
            yield from in_order(submit, result, parts, 2 * self.workers)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, KitestringError):
                raise error.cause from None
            raise
        except self._ray.exceptions.RayError as error:
            raise WorkerLost(
                f"a part was lost on the Ray cluster: {str(error).splitlines()[0]}",
                hint="`ray status` tells which nodes are left; run it again",
            ) from error
        finally:
            for reference in running:
                self._ray.cancel(reference, force=True)


def _Task(work: Callable[[Part], Result]) -> Callable[[Part], Result]:  # noqa: N802
    def part_of_a_plan(part: Part) -> Result:
        return work(part)

    return part_of_a_plan


@contextmanager
def open_ray(address: str | None) -> Iterator[Ray]:
    """The cluster at an address; None for one of this machine that ends with it.

    The nodes need Kitestring, and the secrets that the spec names.

    Raises:
        UsageError: Ray is not installed. WorkersUnreachable: there is no cluster.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("Ray is not installed", hint="pip install 'kitestring[ray]'") from None
    if address:
        _answers(address)
    there = ray.is_initialized()
    try:
        ray.init(
            address=address or "local",
            ignore_reinit_error=True,
            log_to_driver=False,
            logging_level="warning",
            include_dashboard=None if address else False,
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise _unreachable(address, str(error)) from error
    try:
        yield Ray(ray)
    finally:
        if not there:
            ray.shutdown()


def _answers(address: str) -> None:
    """Raises WorkersUnreachable where nothing listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except (OSError, ValueError) as error:
        raise _unreachable(address, str(error)) from error


def _unreachable(address: str | None, why: str) -> WorkersUnreachable:
    return WorkersUnreachable(
        f"there is no Ray cluster at {address or 'this machine'}: {why.splitlines()[0]}",
        hint="`ray status` tells what a cluster has; `--on pool` runs on this machine",
    )
