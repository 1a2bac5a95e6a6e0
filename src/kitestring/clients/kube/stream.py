"""One connection to a port of a pod: the API server's websocket for `pods/NAME/portforward`.

A binary frame begins with its channel: 0 carries the bytes both ways, 1 an error message. The
first frame of each channel holds the port and is passed over. One thread serves a connection: a
TLS socket is not to be read and written by two at once.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import TYPE_CHECKING, Any

from kitestring.errors import KubernetesDenied, KubernetesError, KubernetesUnreachable

if TYPE_CHECKING:
    from kitestring.clients.kube.client import KubeClient

_DATA, _ERROR = 0, 1  # channels
_BINARY, _CLOSE = 2, 8  # opcodes of RFC 6455
_CHUNK = 64 * 1024  # bytes
_PROTOCOL = "v4.channel.k8s.io"


class PodStream:
    """A websocket that `open_stream` opened."""

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket
        self._began: set[int] = set()  # channels
        self.failure = ""  # what the API server said of the pod's port

    def pump(self, client: socket.socket) -> None:
        """Copies bytes both ways until one side ends or `close` is called."""
        remote = self._websocket.sock
        with contextlib.suppress(OSError, _failures()), selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ)
            ready.register(remote, selectors.EVENT_READ)
            while True:
                readable = {key.fileobj for key, _ in ready.select()}
                if remote in readable and not self._down(client):
                    return
                if client in readable and not self._up(client):
                    return

    def _up(self, client: socket.socket) -> bool:
        data = client.recv(_CHUNK)
        if data:
            self._websocket.send_binary(bytes((_DATA,)) + data)
        return bool(data)

    def _down(self, client: socket.socket) -> bool:
        """All frames that are there: TLS may hold some that the selector does not see."""
        while True:
            opcode, frame = self._websocket.recv_data_frame(True)
            if opcode == _CLOSE:
                return False
            if opcode == _BINARY and frame.data and not self._frame(client, frame.data):
                return False
            pending = getattr(self._websocket.sock, "pending", None)
            if pending is None or not pending():
                return True

    def _frame(self, client: socket.socket, data: bytes) -> bool:
        channel, payload = data[0], data[1:]
        if channel not in self._began:
            self._began.add(channel)
        elif channel == _DATA:
            client.sendall(payload)
        elif channel == _ERROR:
            self.failure = payload.decode(errors="replace").strip()
            return False
        return True

    def close(self) -> None:
        """Ends a `pump`, from whichever thread."""
        remote = self._websocket.sock
        if remote is not None:
            with contextlib.suppress(OSError):
                remote.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                remote.close()


def open_stream(kube: KubeClient, namespace: str, pod: str, port: int) -> PodStream:
    """Opens a connection to a port of a pod.

    Raises:
        KubernetesDenied: the user may not forward ports.
        KubernetesUnreachable: the API server does not answer.
        KubernetesError: it does not open the stream.
    """
    from kubernetes.stream.ws_client import create_websocket, get_websocket_url
    from websocket import WebSocketBadStatusException, WebSocketException

    configuration = kube.configuration
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
    url = get_websocket_url(configuration.host.rstrip("/") + path, [("ports", str(port))])
    headers = {"sec-websocket-protocol": _PROTOCOL}
    for setting in configuration.auth_settings().values():
        if setting["in"] == "header" and setting["value"]:
            headers[setting["key"].lower()] = setting["value"]
    what = f"no port-forward to pod {namespace}/{pod}"
    try:
        return PodStream(create_websocket(configuration, url, headers))
    except WebSocketBadStatusException as error:
        if error.status_code in (401, 403):
            raise KubernetesDenied(
                f"{what}: the API server refuses it",
                hint=f"the user of {kube.target} needs `get` and `create` on `pods/portforward`",
                subject=pod,
            ) from None
        raise KubernetesError(f"{what}: status {error.status_code}", subject=pod) from None
    except (WebSocketException, OSError) as error:
        raise KubernetesUnreachable(f"{what}: {error}", subject=pod) from None


def _failures() -> type[Exception]:
    from websocket import WebSocketException

    found: type[Exception] = WebSocketException
    return found
