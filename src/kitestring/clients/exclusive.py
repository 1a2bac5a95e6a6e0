"""One of a kind at a time: a lock that the kernel drops when its holder ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kitestring.errors import EnforceBusy, EnforceError, KitestringError


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
            hint="let this user write the directory that `state` of the spec names",
            subject=str(path),
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy(
                f"another {what} of this cluster is under way",
                hint=f"wait for it to end; it holds {path}",
                subject=str(path),
            ) from None
        yield
