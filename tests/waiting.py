"""Waiting for what is on its way, instead of sleeping for it."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL = 0.05  # seconds


def until(condition: Callable[[], object], timeout: float = 30.0) -> None:
    """Returns as soon as `condition` holds; fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"it did not come true within {timeout:g} s"
        time.sleep(_POLL)
