"""An etcd and a kube-apiserver as processes of this machine: enough for applies and dry runs.

There are no controllers and no nodes: objects are stored, defaulted and validated as anywhere,
but nothing runs. It needs no root.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

READY_WITHIN = 180.0
STOP_WITHIN = 15.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class ApiServer:
    """A running API server. `stop` and `start` make it go away and come back, data kept."""

    binary: Path
    etcd: Path
    directory: Path
    port: int = field(default_factory=free_port)
    etcd_port: int = field(default_factory=free_port)
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    def start(self) -> None:
        """Starts both and waits until `/readyz` says ok.

        Raises:
            RuntimeError: a process ended, or it is not ready in time; with the log's end.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_files()
        client = f"http://127.0.0.1:{self.etcd_port}"
        peer = f"http://127.0.0.1:{free_port()}"
        self._spawn(
            [
                str(self.etcd),
                f"--data-dir={self.directory / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
            ],
            "etcd",
        )
        keys = self.directory / "service-account.pem"
        self._spawn(
            [
                str(self.binary),
                f"--etcd-servers={client}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self.port}",
                f"--cert-dir={self.directory / 'certificates'}",
                f"--token-auth-file={self.directory / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={keys}",
                f"--service-account-signing-key-file={keys}",
                "--service-cluster-ip-range=10.97.0.0/16",
                "--disable-admission-plugins=ServiceAccount",
                "--profiling=false",
            ],
            "kube-apiserver",
        )
        self._wait()

    def stop(self) -> None:
        """Ends both processes; safe to call twice."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_WITHIN)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(STOP_WITHIN)
        self._processes.clear()

    def _spawn(self, command: list[str], name: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            )

    def _wait(self) -> None:
        context = ssl._create_unverified_context()  # noqa: S323 - on this machine
        request = urllib.request.Request(  # noqa: S310 - https
            f"{self.url}/readyz", headers={"Authorization": f"Bearer {self.token}"}
        )
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            ended = next((p for p in self._processes if p.poll() is not None), None)
            if ended is not None:
                break
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(request, timeout=5, context=context) as answer,  # noqa: S310
            ):
                if answer.status == 200:
                    return
            time.sleep(0.1)
        logs = {p.name: p.read_text(errors="replace")[-2000:] for p in self._logs()}
        self.stop()
        raise RuntimeError(f"the API server is not ready: {logs}")

    def _logs(self) -> list[Path]:
        return sorted(self.directory.glob("*.log"))

    def _write_files(self) -> None:
        keys = self.directory / "service-account.pem"
        if keys.exists():
            return
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        keys.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        (self.directory / "tokens.csv").write_text(
            f'{self.token},admin,admin,"system:masters"\nguest-{self.token},guest,guest\n'
        )
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "clusters": [
                        {
                            "name": "test",
                            "cluster": {"server": self.url, "insecure-skip-tls-verify": True},
                        }
                    ],
                    "users": [
                        {"name": "admin", "user": {"token": self.token}},
                        {"name": "guest", "user": {"token": f"guest-{self.token}"}},
                    ],
                    "contexts": [
                        {"name": "test", "context": {"cluster": "test", "user": "admin"}},
                        {"name": "guest", "context": {"cluster": "test", "user": "guest"}},
                    ],
                }
            )
        )


@contextlib.contextmanager
def running_apiserver(binary: Path, etcd: Path, directory: Path) -> Iterator[ApiServer]:
    """An API server for the time of a `with` block; it never outlives it."""
    server = ApiServer(binary, etcd, directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()
