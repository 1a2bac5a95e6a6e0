"""Port-forwards: to a pod that is ready, to another one when it goes, and gone at the end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from kitestring.clients.kube import portforward
from kitestring.clients.kube.portforward import failure_of, forwarded, is_ready, target_port
from kitestring.clients.kube.stream import PodStream
from kitestring.errors import KubernetesError

SERVICE = {
    "metadata": {"name": "dev-milvus"},
    "spec": {
        "selector": {"app": "milvus"},
        "ports": [{"name": "grpc", "port": 19530, "targetPort": "grpc"}],
    },
}


def pod(name: str, *, ready: bool = True, leaving: bool = False) -> dict[str, Any]:
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}
    return {
        "metadata": {"name": name, **gone},
        "spec": {"containers": [{"ports": [{"name": "grpc", "containerPort": 19530}]}]},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


class Cluster:
    """A cluster whose pods answer each connection with their name, and then echo."""

    target = "context `test`"

    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = [pod("one")]
        self.service: dict[str, Any] | None = SERVICE
        self.streams: list[tuple[str, Websocket]] = []
        self.closed = 0

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Any:
        return self.service

    def list(self, api_version: str, kind: str, namespace: str | None, *, labels: str) -> Any:
        assert labels == "app=milvus"
        return self.pods

    def close(self) -> None:
        self.closed += 1

    def stream(self, kube: Any, namespace: str, name: str, port: int) -> PodStream:
        assert port == 19530
        websocket = Websocket(name)
        self.streams.append((name, websocket))
        return PodStream(websocket)

    def kill(self, name: str) -> None:
        self.pods = [p for p in self.pods if p["metadata"]["name"] != name]
        for at, websocket in self.streams:
            if at == name:
                websocket.server.shutdown(socket.SHUT_RDWR)


class Websocket:
    """As the API server speaks it, each frame on a line in hex; the pod behind it says its name,
    and then echoes."""

    def __init__(self, name: str) -> None:
        self.sock, self.server = socket.socketpair()
        self._lines = self.sock.makefile("rb", buffering=0)
        port = (19530).to_bytes(2, "little")
        for frame in (b"\0" + port, b"\1" + port, b"\0" + f"{name}\n".encode()):
            self.server.sendall(frame.hex().encode() + b"\n")
        self.thread = threading.Thread(target=self._echo, daemon=True)
        self.thread.start()

    def send_binary(self, data: bytes) -> None:
        self.sock.sendall(data.hex().encode() + b"\n")

    def recv_data_frame(self, control: bool) -> tuple[int, Any]:
        line = self._lines.readline()
        return (2, SimpleNamespace(data=bytes.fromhex(line.decode()))) if line else (8, None)

    def _echo(self) -> None:
        with contextlib.suppress(OSError), self.server, self.server.makefile("rb") as lines:
            for line in lines:
                self.server.sendall(line)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(portforward, "connect", lambda *_: made)
    monkeypatch.setattr(portforward, "open_stream", made.stream)
    return made


@contextlib.contextmanager
def connected(address: tuple[str, int]) -> Iterator[Any]:
    with socket.create_connection(address, timeout=10) as client, client.makefile("rwb") as file:
        yield file


def test_bytes_go_both_ways_and_everything_ends_with_the_block(cluster: Cluster) -> None:
    with forwarded("ns", "dev-milvus", 19530) as address, connected(address) as file:
        assert file.readline() == b"one\n"
        sent = bytes(range(256)) * 768  # 192 KiB: more than one read
        writer = threading.Thread(target=lambda: (file.write(sent), file.flush()))
        writer.start()
        assert file.read(len(sent)) == sent
        writer.join()
    assert cluster.closed == 1
    pod_side = cluster.streams[0][1].thread
    pod_side.join(timeout=10)
    assert not pod_side.is_alive()  # its connection has ended
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address, timeout=10)


def test_one_forward_for_all_in_the_process(cluster: Cluster) -> None:
    with forwarded("ns", "dev-milvus", 19530) as first:
        with forwarded("ns", "dev-milvus", 19530) as second:
            assert first == second
        with connected(first) as file:  # the first one still uses it
            assert file.readline() == b"one\n"
        with forwarded("ns", "dev-milvus", "grpc") as third:
            assert third != first


def test_a_pod_that_goes_ends_its_connections_and_the_next_finds_another(cluster: Cluster) -> None:
    with forwarded("ns", "dev-milvus", 19530) as address:
        with connected(address) as file:
            assert file.readline() == b"one\n"
            cluster.pods.append(pod("two"))
            cluster.kill("one")
            assert file.readline() == b""
        with connected(address) as file:
            assert file.readline() == b"two\n"
        cluster.pods = [pod("three", ready=False)]
        with contextlib.suppress(ConnectionResetError), connected(address) as file:
            assert file.readline() == b""
        assert "no pod of Service ns/dev-milvus is ready (1 there)" in failure_of(
            "ns", "dev-milvus", 19530
        )
        cluster.pods = [pod("four")]
        with connected(address) as file:
            assert file.readline() == b"four\n"


def test_what_is_wrong_is_said_at_once(cluster: Cluster) -> None:
    cluster.pods = [pod("one", ready=False), pod("two", leaving=True)]
    with pytest.raises(KubernetesError, match=r"no pod of .* is ready \(2 there\)") as caught:
        forwarded("ns", "dev-milvus", 19530).__enter__()
    assert "kubectl get pods -n ns -l app=milvus" in caught.value.hint
    cluster.service = None
    with pytest.raises(KubernetesError, match="there is no Service ns/dev-milvus"):
        forwarded("ns", "dev-milvus", 19530).__enter__()


def test_ports_by_number_and_name() -> None:
    assert target_port(SERVICE, 19530, pod("one")) == 19530
    assert target_port(SERVICE, "grpc", pod("one")) == 19530
    plain = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    assert target_port(plain, 80, pod("one")) == 80
    with pytest.raises(KubernetesError, match="has no port 9091; it has grpc"):
        target_port(SERVICE, 9091, pod("one"))
    with pytest.raises(KubernetesError, match="no container of pod one has a port named `grpc`"):
        target_port(SERVICE, 19530, pod("one") | {"spec": {"containers": [{}]}})


def test_a_pod_on_its_way_out_is_not_ready() -> None:
    assert is_ready(pod("one"))
    assert not is_ready(pod("one", leaving=True))
    assert not is_ready({"metadata": {"name": "new"}})
