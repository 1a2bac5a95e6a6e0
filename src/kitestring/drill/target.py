"""Where a drill restores to: a server of its own in a directory of its own, never the source."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from kitestring import local
from kitestring.backup.interrupts import shielded
from kitestring.clients.milvus.connect import server_uri
from kitestring.clients.stack_state import StackState, read_stack_state
from kitestring.errors import DrillRefused, KitestringError, StoreFull
from kitestring.local import process
from kitestring.spec.loaded import LoadedSpec

PREFIX = "kitestring-drill-"
_DATA, _LOCK, _KEPT = "milvus", "drill.lock", "kept"  # in the directory of a target
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FRESH = 60.0  # seconds; a directory that young may be about to be locked
_COPIES = 3  # the restored files, what the import writes of them, and the index
_SERVER = 512 * 1024 * 1024  # bytes that an empty server may need


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server by everything that tells it from another one."""

    uri: str
    data: Path | None = None  # its data directory, where known
    pid: int | None = None


def refuse_source(source: Endpoint | None, target: Endpoint, collections: Sequence[str]) -> None:
    """Makes sure that the target is not the source.

    Args:
        source: None where it does not run.
        collections: of the target. A drill's target is empty: one that holds a collection is
            somebody's, whatever its address.

    Raises:
        DrillRefused: both have an address, a process or a data directory in common; or the target
            is not empty.
    """
    shared = ""
    if source is not None:
        if _addresses(source.uri) & _addresses(target.uri):
            shared = f"both are at {target.uri}"
        elif source.pid is not None and source.pid == target.pid:
            shared = f"both are the process {target.pid}"
        elif source.data is not None and source.data == target.data:
            shared = f"both keep their data in {target.data}"
    if shared:
        raise DrillRefused(
            f"the drill's target is the source: {shared}",
            hint="a drill restores to an isolated server; name another target",
            subject=target.uri,
        )
    if collections:
        raise DrillRefused(
            f"the drill's target at {target.uri} is not empty: it has `{collections[0]}`",
            hint="a drill restores to a server of its own; name an empty target",
            subject=target.uri,
        )


def source_endpoint(loaded: LoadedSpec) -> Endpoint | None:
    """The spec's server, from the spec and the state file alone; None where it does not run."""
    data = loaded.spec.connection.embedded
    try:
        uri = server_uri(loaded)
    except KitestringError:
        return None
    if data is None:
        return Endpoint(uri)
    folder = loaded.resolve(data)
    state = read_stack_state(folder)
    return Endpoint(uri, folder, state.pid if state else None)


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
        with _held(folder):
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
        with suppress(OSError):
            facts = folder.stat()
            fresh = time.time() - facts.st_mtime < _FRESH
            if fresh or facts.st_uid != os.getuid() or (folder / _KEPT).exists():
                continue
            with (folder / _LOCK).open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Marks a directory as in use; the kernel lets go of the lock of a process that dies."""
    with (folder / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _shielded_exit(manager: AbstractContextManager[StackState]) -> Iterator[StackState]:
    """The manager's block; a second Ctrl-C does not cut its teardown short."""
    stack = ExitStack()
    try:
        yield stack.enter_context(manager)
    finally:
        with shielded():
            stack.close()


@contextmanager
def stoppable(cut: Callable[[], None], *, unwind: float = 30.0) -> Iterator[None]:
    """Within it, SIGTERM and SIGHUP unwind like Ctrl-C, so that schedulers leave nothing behind.

    A signal's exception may come while a client library holds a lock of its own, which is then
    never let go. So unwinding has a deadline of `unwind` seconds; after it, `cut` is called from
    a thread, and the process ends with exit code 130. What ignores a signal goes on ignoring it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    deadline = threading.Timer(unwind, _end, [cut])
    deadline.daemon = True

    def stop(_number: int, _frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # a second signal: the deadline stands
            deadline.start()
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in _STOPS}
    before = {n: handler for n, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        deadline.cancel()


def _end(cut: Callable[[], None]) -> None:
    try:
        cut()
    finally:
        sys.stderr.write("\nerror: interrupted\n")
        sys.stderr.flush()
        os._exit(130)


def _addresses(uri: str) -> set[tuple[str, int]]:
    """Every address and port that a URI may mean."""
    parts = urlsplit(uri)
    port = parts.port or 19530
    host = parts.hostname or ""
    found = {(host, port)}
    with suppress(OSError):
        found |= {(str(info[4][0]), port) for info in socket.getaddrinfo(host, port)}
    if any(address in ("::1", "0.0.0.0", "::") for address, _ in found):  # noqa: S104
        found.add(("127.0.0.1", port))
    return found
