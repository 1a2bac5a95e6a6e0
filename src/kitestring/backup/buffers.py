"""Memory for large objects that is used again: the system clears every page that it gives, which
takes longer than reading into one that is there."""

from __future__ import annotations

import mmap
import weakref

import numpy as np

_STEP = 4 * 1024 * 1024  # bytes; sizes are multiples of it, so that the next object fits too


class Buffers:
    """Regions of memory, each given to one holder at a time. For any number of threads.

    Args:
        keep: regions that are kept while nobody holds them.
    """

    def __init__(self, keep: int = 2) -> None:
        self._keep = keep
        self._free: list[mmap.mmap] = []  # appending and popping are atomic

    def take(self, size: int) -> memoryview:
        """Memory of that many bytes, which may hold anything. It is used again once neither the
        view is there nor what was made of it without a copy."""
        region = self._region(size)
        array = np.frombuffer(region, np.uint8, size)
        weakref.finalize(array, self._give, region).atexit = False
        return array.data

    def _region(self, size: int) -> mmap.mmap:
        try:
            region = self._free.pop()
            if len(region) >= size:
                return region
        except IndexError:
            pass
        # private: a process that is forked off does not write into its parent's
        return mmap.mmap(-1, -(-size // _STEP) * _STEP, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def _give(self, region: mmap.mmap) -> None:
        if len(self._free) < self._keep:
            self._free.append(region)
