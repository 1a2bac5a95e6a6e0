"""A real Kubernetes of one node on this machine, for tests: no Docker, no virtual machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from kitestring.local.guard import locked
from tests.e2e.images.build import import_images
from tests.e2e.images.recipes import PAUSE
from tests.e2e.node import config, space
from tests.e2e.node.api import Api, ApiError
from tests.e2e.node.layout import NODE_NAME, Layout, State
from tests.e2e.node.provisioner import storage_class
from tests.e2e.toolchain.build import Toolchain

ROOT = Path(__file__).parents[3]
_POLL = 0.1  # seconds
_LOCK_TIMEOUT = 300.0  # seconds that a second `up` of the same directory waits


class NodeFailed(Exception):
    """A part of the node did not come up; the message has the last lines of its log."""


class Node:
    """etcd, API server (TLS, RBAC), controller manager, scheduler, containerd, kubelet,
    kube-proxy, CoreDNS and a volume provisioner, all in namespaces of their own.

    NetworkPolicy objects are accepted and **not enforced**: the bridge plugin of the CNI does
    not know them. Pods and Services can be reached from this machine at their own addresses, and
    pods reach this machine as `host.cluster.local`. Two nodes can run at the same time.

    `home`: everything the node writes; removed by `down`. `images`: archives of containers'
    images to have from the start. `tied`: the node ends with this process, however that ends.
    `timeout`: seconds that each part may take to come up.
    """

    def __init__(
        self,
        home: Path,
        toolchain: Toolchain,
        *,
        images: Sequence[str] = (),
        tied: bool = True,
        timeout: float = 300.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = home.resolve()
        self.toolchain = toolchain
        self._images = tuple(images)
        self._tied = tied
        self._timeout = timeout
        self._say = say
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Node:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    @property
    def kubeconfig(self) -> Path:
        """Of a user who may do everything."""
        return self.home / "kubeconfig"

    @property
    def layout(self) -> Layout:
        """Addresses and files of the node.

        Raises:
            NodeFailed: it is not up.
        """
        state = State.read(self.home)
        if state is None:
            raise NodeFailed(f"there is no node in {self.home}")
        return Layout(self.home, state.number)

    def is_up(self) -> bool:
        state = State.read(self.home)
        return state is not None and state.ready and space.alive(state)

    def up(self) -> None:
        """Starts the node, or leaves the one that runs; sweeps what a killed run left.

        Raises:
            NodeFailed: a part did not come up in time; everything has been stopped again.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if self.is_up():
                return
            self._sweep()
            (self.home / "logs").mkdir(parents=True)
            try:
                layout, state, outer = space.make(self.home, tied=self._tied)
                self._programs["init"] = outer
                self._start(layout, state)
                replace(state, ready=True).write(self.home)
            except BaseException:
                self._sweep(logs=True)
                raise

    def down(self) -> None:
        """Ends all of it and removes the directory; nothing happens when there is no node."""
        if self.home.exists():
            with self._lock():
                self._sweep()
                shutil.rmtree(self.home)

    def load(self, images: Sequence[str]) -> None:
        """Gives the node images by name (see `tests.e2e.images`); builds what is not cached."""
        state = State.read(self.home)
        if state is None:
            raise NodeFailed(f"there is no node in {self.home}")
        socket = str(Layout(self.home, state.number).containerd_socket)
        import_images(images, [*space.enter(state.pid), "ctr", "-a", socket], self.toolchain)

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120.0) -> str:
        """What `kubectl` prints.

        Raises:
            subprocess.CalledProcessError: it failed; `stderr` says why.
        """
        command = [str(self.toolchain.tool("kubectl")), f"--kubeconfig={self.kubeconfig}"]
        done = subprocess.run(
            [*command, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
            timeout=timeout,
        )
        return done.stdout

    def _start(self, layout: Layout, state: State) -> None:
        config.write_all(layout, PAUSE)
        commands = config.commands(layout, self.toolchain.tool)
        for name in ("etcd", "kube-apiserver"):
            self._run(layout, state, name, commands.pop(name))
        self._run(layout, state, "containerd", commands.pop("containerd"))
        self._wait(layout, "containerd", layout.containerd_socket.exists)
        self.load([PAUSE, *self._images])  # which may have to build them first
        api = Api(layout.kubeconfig)
        self._wait(layout, "kube-apiserver", api.is_ready)
        api.create("/apis/storage.k8s.io/v1/storageclasses", storage_class())
        for name, command in commands.items():
            self._run(layout, state, name, command)
        module = [sys.executable, "-m", "tests.e2e.node.provisioner"]
        self._run(
            layout,
            state,
            "provisioner",
            [*module, str(layout.kubeconfig), str(self.home / "volumes")],
        )
        self._wait(layout, "kubelet", lambda: _node_ready(api))
        self._wait(layout, "kube-controller-manager", lambda: _account_there(api))

    def _run(self, layout: Layout, state: State, name: str, command: list[str]) -> None:
        environment = {**self.toolchain.environment(), "PYTHONPATH": str(ROOT)}
        environment.pop("KUBECONFIG", None)
        with layout.log(name).open("ab") as log:
            self._programs[name] = subprocess.Popen(
                [*space.enter(state.pid), *command],
                cwd=self.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self, layout: Layout, what: str, condition: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not condition():
            for name, program in self._programs.items():
                if program.poll() is not None:
                    raise self._failed(layout, name, f"ended with code {program.returncode}")
            if time.monotonic() - began > self._timeout:
                raise self._failed(layout, what, "was not ready in time")
            time.sleep(_POLL)
        self._say(f"{what} is ready after {time.monotonic() - began:.1f} s")

    def _failed(self, layout: Layout, name: str, how: str) -> NodeFailed:
        lines = layout.log(name).read_text(errors="replace").splitlines()[-15:]
        return NodeFailed("\n  ".join([f"`{name}` {how}; its last lines:", *lines]))

    def _sweep(self, *, logs: bool = False) -> None:
        """Leaves the directory with its lock only; with the logs too, for a look at a failure."""
        state = State.read(self.home)
        if state is not None:
            space.remove(Layout(self.home, state.number), state)
        for program in self._programs.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(10)
        self._programs.clear()
        for path in self.home.iterdir():
            if path.name == "lock" or (logs and path.name == "logs"):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        return locked(self.home / "lock", timeout=_LOCK_TIMEOUT, busy=f"{self.home} is used")


def _node_ready(api: Api) -> bool:
    try:
        conditions = api.get(f"/api/v1/nodes/{NODE_NAME}")["status"]["conditions"]
    except (ApiError, OSError):
        return False
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _account_there(api: Api) -> bool:
    try:
        api.get("/api/v1/namespaces/default/serviceaccounts/default")
    except (ApiError, OSError):
        return False
    return True


def default_home() -> Path:
    """Where `python -m tests.e2e.node` keeps its node."""
    return Path(os.environ.get("KITESTRING_E2E_NODE", "/tmp/kitestring-node"))
