"""The kept connection of the test node's API: a server may close it while it is idle."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.node.api import Api

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def closing() -> Iterator[int]:
    """The port of a server that keeps a connection, says nothing of its end, and ends it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                client.sendall(ANSWER)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def test_a_connection_that_was_closed_while_idle_is_made_again(closing: int) -> None:
    api = Api.__new__(Api)
    api._connection = http.client.HTTPConnection("127.0.0.1", closing, timeout=5)
    assert [api.get("/readyz") for _ in range(3)] == ["ok", "ok", "ok"]


def test_a_server_that_is_not_there_is_an_error() -> None:
    api = Api.__new__(Api)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    api._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with pytest.raises(OSError, match="refused"):
        api.get("/readyz")
