"""A port that leads to another one, as a balancer's does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager


@contextmanager
def relayed(port: int, address: str = "127.0.0.1") -> Iterator[int]:
    """A port of an address of this machine; what connects to it talks to `port` on loopback."""
    with closing(socket.create_server((address, 0))) as listening:
        listening.settimeout(0.2)
        stop = threading.Event()

        def pump(a: socket.socket, b: socket.socket) -> None:
            try:
                while data := a.recv(65536):
                    b.sendall(data)
            except OSError:
                pass
            finally:
                for end in (a, b):
                    end.close()

        def serve() -> None:
            while not stop.is_set():
                try:
                    client, _ = listening.accept()
                except TimeoutError:
                    continue
                upstream = socket.create_connection(("127.0.0.1", port))
                for pair in ((client, upstream), (upstream, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            stop.set()
            thread.join()
