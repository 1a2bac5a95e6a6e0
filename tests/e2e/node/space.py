"""The namespaces in which a node lives, and what has to be removed outside of them.

A node has its own network, mount and process namespace, made by one first process. When that
process ends, the kernel ends every other one, and the mounts, interfaces and iptables chains go
with them: nothing has to be found and undone one by one, whatever way a run ended. Outside remain
a directory, and cgroups.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil

from tests.e2e.node.config import cgroup_roots
from tests.e2e.node.layout import Layout, State

HIDDEN = ("/run", "/var/lib", "/var/log")  # the node sees empty ones: programs write there
_FIRST = """
set -e
mount --make-rshared /
for folder in {hidden}; do mount -t tmpfs -o mode=755 tmpfs $folder; done
ip link set lo up
trap "" CHLD
exec sleep infinity
"""
_NODES = 250  # numbers that are tried
_END = 90.0  # seconds until a killed node must be gone
_PR_SET_PDEATHSIG = 1


def enter(pid: int) -> list[str]:
    """The start of a command line that runs in the node of that first process."""
    return ["nsenter", f"--target={pid}", "--net", "--mount", "--pid", "--"]


def make(home: Path, *, tied: bool) -> tuple[Layout, State, subprocess.Popen[bytes]]:
    """Makes the namespaces, the link to them, and the cgroups; writes the state file.

    The process in the answer is the first one's parent, for the caller to wait for in the end.
    `tied`: the node ends with this process, also when it is killed.
    """
    for folder in HIDDEN:
        if home.is_relative_to(folder):
            raise ValueError(f"a node's directory can't be under {folder}: {home}")
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    script = _FIRST.format(hidden=" ".join(HIDDEN))
    outer = subprocess.Popen(
        [*command, "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(home / "logs" / "init.log").open("wb"),
        start_new_session=True,
        preexec_fn=die_with_parent if tied else None,
    )
    try:
        pid = _first_process(outer)
        state = State(_link(pid), pid, psutil.Process(pid).create_time())
        layout = Layout(home, state.number)
        state.write(home)
        _make_cgroups(layout)
        _join(layout, pid)
    except BaseException:
        outer.kill()
        outer.wait()
        raise
    return layout, state, outer


def alive(state: State) -> bool:
    try:
        process = psutil.Process(state.pid)
        return (
            abs(process.create_time() - state.started) < 1
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


def remove(layout: Layout, state: State) -> None:
    """Ends every process of the node and removes what is outside of its namespaces."""
    if alive(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.pid, signal.SIGKILL)
    deadline = time.monotonic() + _END
    while alive(state):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the node's first process, {state.pid}, does not end")
        time.sleep(0.05)
    for root in cgroup_roots():
        _remove_cgroup(root / layout.cgroup, deadline)


def die_with_parent() -> None:
    """For `preexec_fn`: the process is killed when the one that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _first_process(outer: subprocess.Popen[bytes]) -> int:
    """The child of `unshare`, once it has done its set-up and sleeps."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if outer.poll() is not None:
            raise RuntimeError(f"`unshare` ended with code {outer.returncode}")
        for child in psutil.Process(outer.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name() == "sleep":
                    return child.pid
        time.sleep(0.02)
    raise TimeoutError("the node's first process does not start")


def _link(pid: int) -> int:
    """Makes the link under the first free number; its name is what claims the number."""
    for number in range(_NODES):
        name = Layout(Path(), number).link
        ends = ["name", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid)]
        if subprocess.run(["ip", "link", "add", *ends], capture_output=True).returncode == 0:
            return number
    raise RuntimeError("no free link: " + _run("ip", "link", "show"))


def _join(layout: Layout, pid: int) -> None:
    inside = enter(pid)
    _run("ip", "address", "add", f"{layout.host_ip}/24", "dev", layout.link)
    _run("ip", "link", "set", layout.link, "up")
    _run(*inside, "ip", "address", "add", f"{layout.node_ip}/24", "dev", "eth0")
    _run(*inside, "ip", "link", "set", "eth0", "up")
    _run(*inside, "ip", "route", "add", "default", "via", layout.host_ip)
    _run(*inside, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    # from this machine, pods and Services are reached at their own addresses
    for net in (layout.pod_net, layout.service_net):
        _run("ip", "route", "replace", net, "via", layout.node_ip)


def _make_cgroups(layout: Layout) -> None:
    for root in cgroup_roots():
        folder = root / layout.cgroup
        folder.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # version 1 wants them before any process
            if (root / name).exists() and not (folder / name).read_text().strip():
                (folder / name).write_text((root / name).read_text())
        if (root / "cgroup.controllers").exists():
            wanted = (root / "cgroup.controllers").read_text().split()
            (root / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in wanted))


def _remove_cgroup(folder: Path, deadline: float) -> None:
    """A cgroup can be removed when its processes are gone; the deepest first."""
    if not folder.is_dir():
        return
    folders = [folder, *(p for p in folder.rglob("*") if p.is_dir())]
    for each in sorted(folders, key=lambda p: -len(p.parts)):
        while each.exists():
            try:
                each.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
