"""One enforcement at a time: a lock that the kernel drops when its holder ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kitestring.errors import EnforceBusy


@contextmanager
def exclusive(path: Path, what: str, *, dry_run: bool = False) -> Iterator[None]:
    """Holds the lock file of `what` ("compaction", …); a dry run takes and writes nothing.

    Raises:
        EnforceBusy: another process holds it.
    """
    if dry_run:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnforceBusy(
                f"another {what} of this cluster is under way",
                hint=f"wait for it to end; it holds {path}",
                subject=str(path),
            ) from None
        yield
