"""Waiting for what is on its way, instead of sleeping for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer

_POLL = 0.05  # seconds


def until(condition: Callable[[], object], timeout: float = 30.0) -> None:
    """Returns as soon as `condition` holds; fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"it did not come true within {timeout:g} s"
        time.sleep(_POLL)


def compacted(milvus: MilvusServer, name: str) -> None:
    """Compacts a collection, and returns when that is done."""
    ended(milvus, milvus.compact(name))


def ended(milvus: MilvusServer, compaction: int) -> None:
    """Returns when a compaction is done.

    Of a collection that is dropped before, the server keeps it in its queue for minutes, and a
    few of them are all that the queue holds.
    """
    until(lambda: milvus.compaction_done(compaction), timeout=400)
