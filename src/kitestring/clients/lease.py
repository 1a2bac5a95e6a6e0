"""Who holds a lease, and whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A process. `started` tells it from a later one with the same id; its unit is the system's."""

    pid: int
    started: float
    host: str


def this_process() -> Owner:
    """The owner that this process is."""
    pid = os.getpid()
    return Owner(pid, _started(pid) or 0.0, socket.gethostname())


def owner_lives(owner: Owner, *, silent: float, expires: float) -> bool:
    """Whether a lease's owner is to be taken as alive.

    On this host the process table says so. Another host's process can't be seen: it lives until
    it has been silent for `expires` seconds.
    """
    if owner.host != socket.gethostname():
        return silent < expires
    if not _exists(owner.pid):
        return False
    started = _started(owner.pid)
    return started is None or owner.started in (0.0, started)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> float | None:
    """Start of a process in clock ticks since boot (proc(5), `stat` field 22); None off Linux."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # the second field, the name, may hold spaces and brackets
    return float(text.rpartition(")")[2].split()[19])
