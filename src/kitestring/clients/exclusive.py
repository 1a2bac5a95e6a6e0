"""One of a kind at a time: a lock that the kernel drops when its holder ends."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from kitestring.clients.textfile import STATE_HINT
from kitestring.errors import EnforceBusy, EnforceError, KitestringError

_LOOK = 0.5  # seconds: far longer than `is_held` keeps a lock from others
_POLL = 0.02


@contextmanager
def exclusive(
    path: Path,
    what: str,
    *,
    dry_run: bool = False,
    busy: type[KitestringError] = EnforceBusy,
    failed: type[KitestringError] = EnforceError,
) -> Iterator[None]:
    """Holds the lock file of `what` ("compaction", …); a dry run takes and writes nothing.

    Raises:
        busy: another process holds it.
        failed: the file can't be written.
    """
    if dry_run:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise failed(
            f"the lock {path} can't be written: {error.strerror}",
            hint=STATE_HINT,
            subject=str(path),
        ) from None
    with file:
        if not _taken(file, fcntl.LOCK_EX, _LOOK):
            raise busy(
                f"another {what} of this cluster is under way",
                hint=f"wait for it to end; it holds {path}",
                subject=str(path),
            )
        yield


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file. Who wants it meanwhile gets it."""
    try:
        with path.open("rb") as file:
            return not _taken(file, fcntl.LOCK_SH, 0.0)
    except FileNotFoundError:
        return False


def _taken(file: IO[Any], how: int, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL)
        else:
            return True
