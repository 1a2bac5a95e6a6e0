"""Waits for what a server does in the background. Imports nothing heavy."""

from __future__ import annotations

import time
from typing import Any

from kitestring.errors import MilvusError


def wait_until(
    done: Any, *, timeout: float, what: str, interval: float = 0.1, longest: float = 1.0
) -> float:
    """Polls `done()` until it is true, backing off; returns the seconds waited.

    Raises:
        MilvusError: it was not within `timeout` seconds.
    """
    start = time.monotonic()
    while not done():
        waited = time.monotonic() - start
        if waited > timeout:
            raise MilvusError(f"{what} was not done within {timeout:g} s")
        time.sleep(interval)
        interval = min(interval * 1.5, longest)
    return time.monotonic() - start
