"""Executors that are opened when there is first enough for them to do."""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import TracebackType

from kitestring.parallel.executor import (
    ADDRESS,
    POOL,
    SERIAL,
    Executor,
    Serial,
    open_executor,
    require_known,
)
from kitestring.parallel.threads import Threads


class Workers:
    """The executor of `on`, and one of this machine; both ended with it.

    Args:
        on: as `open_executor` takes it. With None, little work is done in this process: starting
            others takes a second.
        enough: how much is worth starting others for, in the unit of `of`.

    Raises:
        UsageError: `on` is something else.
    """

    def __init__(self, on: str | None = None, *, enough: int = 500_000) -> None:
        require_known(on)
        self.on, self._enough = on, enough
        self._stack = ExitStack()
        self._chosen: Executor | None = None
        self._here: Executor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def of(self, size: int, *, enough: int | None = None) -> Executor:
        """The executor for so much work. Raises UsageError, WorkersUnreachable.

        Args:
            enough: for work in another unit.
        """
        if self.on is None and size < (self._enough if enough is None else enough):
            return Serial()
        if self.on in (None, POOL) and not os.environ.get(ADDRESS):
            return self._pool()
        if self._chosen is None:
            self._chosen = self._stack.enter_context(open_executor(self.on))
        return self._chosen

    def here(self, size: int) -> Executor:
        """The same on this machine, for work on its files."""
        return Serial() if size < self._enough or self.on == SERIAL else self._pool()

    def side_by_side(self, parts: int) -> Executor:
        """Threads of this process, for work that waits for a server; none with `serial`."""
        return Serial() if parts < 2 or self.on == SERIAL else Threads(parts)

    def _pool(self) -> Executor:
        if self._here is None:
            self._here = self._stack.enter_context(open_executor(POOL))
        return self._here
