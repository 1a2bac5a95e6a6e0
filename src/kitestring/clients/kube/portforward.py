"""Port-forwards to the pods of a Service, through the Kubernetes API server.

Each connection to the local port gets a stream of its own to a pod that is ready at that moment,
so that a pod that goes away costs its connections, and the next one finds another pod.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.clients.kube.client import KubeClient
from kitestring.clients.kube.connect import connect
from kitestring.clients.kube.stream import PodStream, open_stream
from kitestring.errors import KubernetesError

LOOPBACK = "127.0.0.1"
_Key = tuple[str | None, str | None, str, str, int | str]

_open: dict[_Key, tuple[ServiceForward, int]] = {}  # the forward, and how many use it
_guard = threading.Lock()


@contextlib.contextmanager
def forwarded(
    namespace: str,
    service: str,
    port: int | str,
    context: str | None = None,
    kubeconfig: str | None = None,
) -> Iterator[tuple[str, int]]:
    """Host and port on this machine that lead to a Service while the block runs.

    One forward is shared by everybody in the process who asks for the same.

    Args:
        port: number or name of a port of the Service.

    Raises:
        KubernetesUnreachable: no kubeconfig, no such context, or the API server does not answer.
        KubernetesDenied: the user may not look at the Service or its pods.
        KubernetesError: there is no such Service or port, or none of its pods is ready.
    """
    key = (context, kubeconfig, namespace, service, port)
    with _guard:
        forward, users = _open.get(key, (None, 0))
        if forward is None:
            forward = ServiceForward(connect(context, kubeconfig), namespace, service, port)
        _open[key] = (forward, users + 1)
    try:
        yield LOOPBACK, forward.port
    finally:
        with _guard:
            _, users = _open[key]
            if users > 1:
                _open[key] = (forward, users - 1)
            else:
                del _open[key]
                forward.close()


def failure_of(
    namespace: str,
    service: str,
    port: int | str,
    context: str | None = None,
    kubeconfig: str | None = None,
) -> str:
    """Why the last connection through an open forward could not be led on; empty if it was."""
    with _guard:
        forward, _ = _open.get((context, kubeconfig, namespace, service, port), (None, 0))
    return forward.failure if forward else ""


class ServiceForward:
    """Listens on a free port of the loopback device until it is closed. `failure` is why the
    last connection could not be led on."""

    def __init__(self, kube: KubeClient, namespace: str, service: str, port: int | str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._service = service
        self._service_port = port
        self.failure = ""
        self._streams: set[PodStream] = set()
        self._lock = threading.Lock()
        self._closed = False
        self.target()  # what is wrong is said now, and not by the first connection
        import kubernetes.stream  # noqa: F401 - takes seconds, of which a connection has few

        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(
            target=self._accept, name=f"port-forward {namespace}/{service}", daemon=True
        ).start()

    def target(self) -> tuple[str, int]:
        """Name and port of a pod of the Service that is ready.

        Raises:
            KubernetesError: there is no Service, port or ready pod.
        """
        where = f"Service {self._namespace}/{self._service}"
        found = self._kube.get("v1", "Service", self._service, self._namespace)
        if found is None:
            raise KubernetesError(
                f"there is no {where} in the cluster of {self._kube.target}",
                hint="`pulumi up` makes it; check `cluster.name` and `deployment.namespace` of "
                "the spec, and the context",
                subject=where,
            )
        selector = found["spec"].get("selector") or {}
        wanted = ",".join(f"{k}={v}" for k, v in sorted(selector.items()))
        pods = self._kube.list("v1", "Pod", self._namespace, labels=wanted) if wanted else []
        ready = sorted((p for p in pods if is_ready(p)), key=lambda p: str(p["metadata"]["name"]))
        if not ready:
            raise KubernetesError(
                f"no pod of {where} is ready ({len(pods)} there)",
                hint=f"kubectl get pods -n {self._namespace} -l {wanted}",
                subject=where,
            )
        return str(ready[0]["metadata"]["name"]), target_port(found, self._service_port, ready[0])

    def close(self) -> None:
        """Stops listening and ends all connections."""
        with self._lock:
            self._closed = True
            streams = list(self._streams)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        for stream in streams:
            stream.close()
        self._kube.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                pod, port = self.target()
                stream = open_stream(self._kube, self._namespace, pod, port)
            except (KubernetesError, OSError) as error:
                self.failure = str(error)
                return
            self.failure = ""
            with self._lock:
                closed = self._closed
                self._streams.add(stream)
            if not closed:
                stream.pump(client)
            stream.close()
            with self._lock:
                self._streams.discard(stream)
            self.failure = stream.failure or self.failure


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod takes connections: ready, and not on its way out."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def target_port(service: Mapping[str, Any], port: int | str, pod: Mapping[str, Any]) -> int:
    """The port of a pod that a port of its Service leads to.

    Raises:
        KubernetesError: the Service has no such port, or the pod no container port of that name.
    """
    name = service["metadata"]["name"]
    ports = service["spec"].get("ports") or ()
    entry = next((p for p in ports if port in (p.get("port"), p.get("name"))), None)
    if entry is None:
        there = ", ".join(str(p.get("name") or p.get("port")) for p in ports) or "none"
        raise KubernetesError(f"the Service {name} has no port {port}; it has {there}")
    wanted = entry.get("targetPort", entry["port"])
    if isinstance(wanted, int):
        return wanted
    for container in pod["spec"]["containers"]:
        for declared in container.get("ports") or ():
            if declared.get("name") == wanted:
                return int(declared["containerPort"])
    raise KubernetesError(
        f"no container of pod {pod['metadata']['name']} has a port named `{wanted}`"
    )
