"""Keeps the memory of a process that reads large files small."""

from __future__ import annotations

import contextlib
import ctypes
import os
from functools import cache

_MMAP_THRESHOLD = -3  # mallopt(3), of glibc
_LARGE = 16 * 1024 * 1024  # bytes


def lean_arrow() -> None:
    """For who begins a process, before pyarrow is imported: Arrow gives memory back to the system
    at once. The pools that it has by default keep some 150 MB of what big columns have taken."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


@cache
def give_back() -> None:
    """Makes blocks of 16 MiB and more go back to the system when they are freed.

    glibc raises that limit to 32 MiB as such blocks are freed, and then keeps what each thread
    has freed: with logs of 28 MB, 170 MiB that nobody uses. Smaller ones are kept on purpose: a
    column is decoded in pieces of a few MiB, and fresh memory for each costs more than decoding.
    Nothing happens with another libc.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)
