"""A drill's own embedded server, in a directory of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kitestring import local
from kitestring.backup.interrupts import shielded
from kitestring.clients.exclusive import exclusive
from kitestring.clients.stack_state import StackState
from kitestring.drill.identity import Endpoint
from kitestring.errors import KitestringError, StoreFull
from kitestring.local import process

PREFIX = "kitestring-drill-"
_DATA, _LOCK, _KEPT = "milvus", "drill.lock", "kept"  # in the directory of a target
_FRESH = 60.0  # seconds; a directory that young may be about to be locked
_COPIES = 3  # the restored files, what the import writes of them, and the index
_SERVER = 512 * 1024 * 1024  # bytes that an empty server may need


@dataclass(frozen=True, slots=True)
class Target:
    """A running target and its data directory."""

    state: StackState
    data: Path

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.state.uri, self.data, self.state.pid)


def new_folder() -> Path:
    """Where a target will be: a name in the temporary directory; nothing is made yet, so that an
    interrupt between the two finds nothing to leave behind."""
    return Path(tempfile.gettempdir()) / f"{PREFIX}{secrets.token_hex(6)}"


@contextmanager
def embedded_target(folder: Path, size: int, *, keep: bool = False) -> Iterator[Target]:
    """A second embedded server in a directory that is made; both are gone when the block ends.

    Args:
        folder: see `new_folder`.
        size: bytes of the backup, to see beforehand whether its restore has room.
        keep: leave it running, for a look at what was restored.

    Raises:
        StoreFull: there is no room for the restored copy.
        LocalError: the server can't be started.
    """
    parent, data = folder.parent, folder / _DATA
    sweep(parent)
    need, free = size * _COPIES + _SERVER, shutil.disk_usage(parent).free
    if free < need:
        raise StoreFull(
            f"the drill needs about {need / 1e9:.1f} GB in {parent}, {free / 1e9:.1f} GB are free",
            hint="free some space, or name another directory with TMPDIR",
        )
    done = False
    try:
        folder.mkdir(mode=0o700)
        with exclusive(folder / _LOCK, "drill"):
            if keep:
                (folder / _KEPT).touch()
                yield Target(local.up(data), data)
            else:
                with _shielded_exit(local.running(data, remove=True)) as state:
                    yield Target(state, data)
        done = True
    finally:
        if not (keep and done):
            with shielded():
                if keep:
                    local.down(data)
                shutil.rmtree(folder, ignore_errors=True)


def discard(folder: Path) -> None:
    """Ends the target of a folder and removes it, without a lock or a grace."""
    data = (folder / _DATA).resolve()
    for pid in process.servers_of(data):
        process.kill(pid)
    shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Removes the targets of drills that were killed: their servers ended with them, their
    directories stayed. One that is held by a running drill, or was kept on purpose, stays."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError, KitestringError):
            facts = folder.stat()
            fresh = time.time() - facts.st_mtime < _FRESH
            if fresh or facts.st_uid != os.getuid() or (folder / _KEPT).exists():
                continue
            with exclusive(folder / _LOCK, "drill"):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _shielded_exit(manager: AbstractContextManager[StackState]) -> Iterator[StackState]:
    """The manager's block; a second Ctrl-C does not cut its teardown short."""
    stack = ExitStack()
    try:
        yield stack.enter_context(manager)
    finally:
        with shielded():
            stack.close()
