"""Undoing on Ctrl-C, and on a scheduler's SIGTERM, is not cut short."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_guarded: list[object] = []  # blocks of `stoppable` that have a deadline


@contextmanager
def stoppable(cut: Callable[[], None] | None = None, *, unwind: float = 30.0) -> Iterator[None]:
    """Within it, SIGTERM and SIGHUP unwind as Ctrl-C does. What ignores a signal goes on doing so.

    A signal's exception may come while a client library holds a lock of its own, which is then
    never let go. Where `cut` is given, unwinding has a deadline of `unwind` seconds; after it,
    `cut` is called from a thread, and the process ends with exit code 130. A block within such a
    block is under its deadline.
    """
    if threading.current_thread() is not threading.main_thread() or (_guarded and cut is None):
        yield
        return
    deadline = threading.Timer(unwind, _end, [cut])
    deadline.daemon = True

    def stop(_number: int, _frame: FrameType | None) -> None:
        if cut is not None:
            with suppress(RuntimeError):  # a second signal: the deadline stands
                deadline.start()
        raise KeyboardInterrupt

    numbers = _STOPS if cut is not None else _STOPS[1:]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {n: handler for n, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    if cut is not None:
        _guarded.append(stop)
    try:
        yield
    finally:
        if cut is not None:
            _guarded.remove(stop)
        for number, handler in before.items():
            signal.signal(number, handler)
        deadline.cancel()


def _end(cut: Callable[[], None]) -> None:
    try:
        cut()
    finally:
        sys.stderr.write("\nerror: interrupted\n")
        sys.stderr.flush()
        os._exit(130)


@contextmanager
def shielded() -> Iterator[None]:
    """Within it, SIGINT, SIGTERM and SIGHUP wait; what is in it is short and has to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = {number: signal.getsignal(number) for number in _STOPS}
    for number in _STOPS:
        signal.signal(number, lambda seen, _frame: waiting.append(seen))
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
    if waiting:
        raise KeyboardInterrupt
