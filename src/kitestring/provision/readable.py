"""Errors of dynamic providers as the engine shows them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from kitestring.errors import KitestringError


def said(error: KitestringError) -> str:
    """An error's message and hint."""
    return f"{error.message}\nhint: {error.hint}" if error.hint else error.message


@contextmanager
def readable() -> Iterator[None]:
    """A user's error reaches the engine as its text: the plugin reports what `traceback` prints,
    and that is cut for it. A fault of our own keeps its traceback."""
    try:
        yield
    except KitestringError as error:
        sys.tracebacklimit = 0
        raise type(error)(said(error)) from None
    except Exception:
        sys.tracebacklimit = 100
        raise
