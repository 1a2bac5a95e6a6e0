"""The server process: start, identify, probe, stop, and what its log says."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from kitestring.errors import LocalError
from kitestring.local.config import is_free
from kitestring.local.wire import call, fields

CONSOLE_LOG = "logs/console.log"  # below the data directory
_STOP_TIMEOUT = 10.0  # seconds between SIGTERM and SIGKILL
_TAIL = 256 * 1024  # bytes of each log that are looked at
_LINES, _WIDTH = 8, 300
_SETTINGS = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_HEALTH = "/milvus.proto.milvus.MilvusService/CheckHealth"


def psutil() -> ModuleType:
    """The module psutil.

    Raises:
        LocalError: the extra `local` is not installed.
    """
    try:
        import psutil as module
    except ImportError:
        raise LocalError(
            "the embedded server needs psutil", hint="pip install 'kitestring[local]'"
        ) from None
    return module


def start(binaries: Path, data: Path, metrics_port: int, *, tied: bool) -> subprocess.Popen[bytes]:
    """Starts `milvus run standalone` in a session of its own, so that a Ctrl-C at the terminal
    does not reach it. A server that is `tied` is killed by the kernel when this thread ends,
    even by SIGKILL (where util-linux's `setpriv` is there).

    The environment is a short one: Milvus takes every variable for a setting whose name looks
    like one, for example MINIO_PORT.
    """
    library_path = [str(binaries), os.environ.get("LD_LIBRARY_PATH", "")]
    environment = {name: os.environ[name] for name in _SETTINGS if name in os.environ} | {
        "DEPLOY_MODE": "STANDALONE",
        "METRICS_PORT": str(metrics_port),
        "MILVUSCONF": str(data / "configs"),
        "LD_LIBRARY_PATH": ":".join(part for part in library_path if part),
    }
    # the lock file of the server carries the alias: without one, two servers exclude each other
    alias = hashlib.sha256(str(data).encode()).hexdigest()[:12]
    command = [str(binaries / "milvus"), "run", "standalone", "-alias", alias]
    setpriv = shutil.which("setpriv") if tied else None
    if setpriv:
        command = [setpriv, "--pdeathsig", "KILL", *command]
    with (data / CONSOLE_LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=data,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def started_at(pid: int) -> float | None:
    """The start time of a running process, in seconds since the epoch; None if there is none."""
    ps = psutil()
    try:
        process = ps.Process(pid)
        if process.status() == ps.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except ps.Error:
        return None


def servers_of(data: Path) -> list[int]:
    """Ids of every server process that works in the data directory, known to us or not."""
    ps = psutil()
    found = []
    for process in ps.process_iter(["name", "cwd", "status"]):
        if process.info["name"] == "milvus" and process.info["status"] != ps.STATUS_ZOMBIE:
            cwd = process.info["cwd"]
            if cwd is not None and Path(cwd) == data:
                found.append(int(process.pid))
    return found


def stop(pid: int, ports: Iterable[int] = ()) -> None:
    """Ends a process: SIGTERM, 10 s, SIGKILL; returns when it is gone and its ports are free.

    Raises:
        LocalError: it belongs to another user, or it does not go.
    """
    ps = psutil()
    try:
        process = ps.Process(pid)
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except ps.TimeoutExpired:
            process.kill()
            process.wait(_STOP_TIMEOUT)
    except ps.NoSuchProcess:
        pass
    except ps.AccessDenied:
        raise LocalError(
            f"the server process {pid} belongs to another user", hint="run as that user"
        ) from None
    except ps.TimeoutExpired:
        raise LocalError(f"the server process {pid} does not end after SIGKILL") from None
    deadline = time.monotonic() + _STOP_TIMEOUT
    waiting = list(ports)
    while waiting := [port for port in waiting if not is_free(port)]:
        if time.monotonic() > deadline:
            raise LocalError(f"port {waiting[0]} is still taken after the server has ended")
        time.sleep(0.05)


def kill(pid: int) -> None:
    """Ends a process at once, and waits for its end."""
    ps = psutil()
    try:
        process = ps.Process(pid)
        process.kill()
        process.wait(_STOP_TIMEOUT)
    except (ps.NoSuchProcess, ps.TimeoutExpired):
        return


def why_not_ready(pid: int, port: int, metrics_port: int, *, timeout: float = 2.0) -> str:
    """Empty when the server answers a client; else what it is waiting for.

    That the ports are this process's own is looked up: on a port that another server took in
    the meantime, that one would answer.
    """
    ps = psutil()
    try:
        own = {c.laddr.port for c in ps.Process(pid).net_connections("tcp") if c.status == "LISTEN"}
    except ps.Error:
        return "the process has ended"
    if not {port, metrics_port} <= own:
        return f"it does not listen on port {port if port not in own else metrics_port} yet"
    try:
        url = f"http://127.0.0.1:{metrics_port}/healthz"
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            body = answer.read().decode(errors="replace")
    except OSError as error:
        return f"/healthz: {error}"
    if "OK" not in body:
        return f"/healthz: {body.strip()[:_WIDTH]}"
    return _why_unhealthy(port, timeout)


def _why_unhealthy(port: int, timeout: float) -> str:
    """Asks the proxy, by a bare gRPC call: pymilvus would take seconds to import."""
    import grpc

    try:
        answer = call(port, _HEALTH, b"", timeout=timeout)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:  # it answers: that will do
            return ""
        return f"gRPC: {error.code().name}"
    # CheckHealthResponse: field 2 is `isHealthy`
    healthy = dict(fields(answer)).get(2)
    return "" if healthy else "the proxy says that it is not healthy yet"


def last_words(data: Path, since: Mapping[Path, int] | None = None) -> list[str]:
    """The last lines of the server's logs that mean something, oldest first.

    Args:
        since: sizes of the logs before the start; what is older is not looked at.
    """
    lines: list[str] = []
    for log in log_files(data):
        lines += _tail(log, (since or {}).get(log, 0))
    grave = [line for line in lines if _GRAVE.search(line)]
    chosen: dict[str, str] = {}
    for line in grave or lines:
        text = _short(line)
        if text:
            chosen.pop(_STAMP.sub("", text), None)
            chosen[_STAMP.sub("", text)] = text
    return list(chosen.values())[-_LINES:]


_GRAVE = re.compile(
    r"\[(ERROR|FATAL|PANIC)\]|^panic:|^fatal error:|error while loading"
    r"|\"level\":\"(fatal|panic|error)\""
)
_STAMP = re.compile(r"^\[[^\]]*\] |\"ts\":\"[^\"]*\",?")


def log_files(data: Path) -> list[Path]:
    """The server's logs, those of the embedded etcd first."""
    logs = data / "logs"
    return (
        sorted(logs.glob("etcd*.log")) + sorted(logs.glob("standalone*.log")) + [data / CONSOLE_LOG]
    )


def _tail(log: Path, start: int) -> list[str]:
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL, start if start <= size else 0))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _short(line: str) -> str:
    """One log line without its stack trace."""
    text = re.sub(r'\[(stack|errorVerbose)=.*|,?"(errorVerbose|stacktrace)":.*', "", line).strip()
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
