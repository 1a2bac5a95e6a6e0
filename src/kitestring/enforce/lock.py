"""One enforcement at a time: a lock that the kernel drops when its holder ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kitestring.errors import EnforceBusy, EnforceError


@contextmanager
def exclusive(path: Path, what: str, *, dry_run: bool = False) -> Iterator[None]:
    """Holds the lock file of `what` ("compaction", …); a dry run takes and writes nothing.

    Raises:
        EnforceBusy: another process holds it.
        EnforceError: the file can't be written.
    """
    if dry_run:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise EnforceError(
            f"the lock {path} can't be written: {error.strerror}",
            hint="let this user write the directory that `state` of the spec names",
            subject=str(path),
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnforceBusy(
                f"another {what} of this cluster is under way",
                hint=f"wait for it to end; it holds {path}",
                subject=str(path),
            ) from None
        yield
