"""Where everything of one node is: files under one directory, addresses in one pair of nets."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

STATE_FILE = "node.json"
NODE_NAME = "kitestring-node"
DOMAIN = "cluster.local"
STORAGE_CLASS = "standard"
PROVISIONER = "kitestring.test/hostpath"
CGROUP_CONTROLLERS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Layout:
    """A node's directory and its number, which its link, its addresses and its cgroup carry."""

    home: Path
    number: int

    @property
    def host_ip(self) -> str:
        """The machine's end of the link: where pods reach servers of this machine."""
        return f"10.213.{self.number}.1"

    @property
    def node_ip(self) -> str:
        return f"10.213.{self.number}.2"

    @property
    def pod_net(self) -> str:
        return f"10.214.{self.number}.0/24"

    @property
    def service_net(self) -> str:
        return f"10.215.{self.number}.0/24"

    @property
    def first_service(self) -> str:
        """The ClusterIP of the Service `kubernetes`."""
        return f"10.215.{self.number}.1"

    @property
    def link(self) -> str:
        return f"kitestring{self.number}"

    @property
    def cgroup(self) -> str:
        return f"kitestring-node-{self.number}"

    @property
    def server(self) -> str:
        return f"https://{self.node_ip}:6443"

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        return self.home / "run" / "containerd.sock"

    def pki(self, name: str) -> Path:
        return self.home / "pki" / name

    def config(self, name: str) -> Path:
        return self.home / "config" / name

    def log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"


@dataclass(frozen=True, slots=True)
class State:
    """What the file `node.json` says: enough to find the node again, and to sweep it."""

    number: int
    pid: int  # of the node's first process, as this machine sees it
    started: float  # when that process was started: a pid alone may be somebody else's by now
    ready: bool = False

    def write(self, home: Path) -> None:
        temporary = home / f"{STATE_FILE}.new"
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(home / STATE_FILE)

    @staticmethod
    def read(home: Path) -> State | None:
        try:
            return State(**json.loads((home / STATE_FILE).read_text()))
        except (OSError, ValueError, TypeError):
            return None
