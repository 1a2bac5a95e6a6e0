"""Locks between processes, and disk faults in words."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kitestring.errors import LocalError

_POLL = 0.1  # seconds between two attempts at a lock


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns an OSError about `path` into a LocalError that says what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LocalError(
                f"no space is left for {where}", hint="free some space, or use another directory"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise LocalError(
                f"{where} can't be written: {error.strerror}",
                hint="choose another directory with --data, or change its permissions",
            ) from None
        raise LocalError(f"{where}: {error.strerror or error}") from None


@contextmanager
def locked(path: Path, *, timeout: float, busy: str) -> Iterator[None]:
    """Holds an exclusive lock on the file `path`, which it creates. The kernel lets go of the
    lock of a process that dies.

    Raises:
        LocalError: another process held the lock for longer than `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{busy} by another process", hint="wait for it, or stop it"
                ) from None
            time.sleep(_POLL)
            continue
        if _still_there(path, descriptor):
            break
        os.close(descriptor)  # the holder before us removed the directory
    try:
        yield
    finally:
        os.close(descriptor)


def _still_there(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return False
