"""An S3 that answers 500 and 503, resets connections and hangs: the backup is whole, or fails
with a word about why. The number of faults that were injected is printed."""

from __future__ import annotations

import http.client
import itertools
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kitestring.backup.catalog import Catalog
from kitestring.backup.create import create_backup
from kitestring.backup.verify import verify
from kitestring.clients.store.retrying import Patience
from kitestring.clients.store.s3 import S3Store
from kitestring.errors import StoreUnreachable
from kitestring.spec.loaded import LoadedSpec

KINDS = ("500", "503", "reset", "cut", "hang")
TIMEOUT = 0.6  # seconds; without a byte three times that


class Faulty(ThreadingHTTPServer):
    """Hands requests on to a server, but for those that `fault` names a fault for."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = (host, port)
        self.fault: Callable[[str, str], str] = lambda method, path: ""
        self.injected: Counter[str] = Counter()
        self.requests = 0
        self.ended = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what was wanted."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Faulty

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.requests += 1
        kind = self.server.fault(self.command, self.path)
        if kind:
            self.server.injected[kind] += 1
        if kind == "hang":
            self.server.ended.wait(TIMEOUT * 4)
            self.close_connection = True
        elif kind == "reset":
            linger = struct.pack("ii", 1, 0)  # close sends a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
        elif kind in ("500", "503"):
            code = {"500": "InternalError", "503": "SlowDown"}[kind]
            text = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
            self.send_response(int(kind))
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)
        else:
            self._forward(body, cut=kind == "cut")

    def _forward(self, body: bytes, *, cut: bool) -> None:
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=20)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                self.send_header(name, value)
        size = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", size or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = cut
        upstream.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    S3Store(
        "x", endpoint_url=f"http://{host}:{port}", access_key="u", secret_key="p"
    )._client.create_bucket(Bucket="backups")
    yield host, int(port)
    server.stop()


@pytest.fixture
def faulty(moto: tuple[str, int]) -> Iterator[Faulty]:
    server = Faulty(*moto)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def store(faulty: Faulty, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """A bucket behind the faults; botocore makes one attempt, the rest is ours."""
    host, port = faulty.server_address[:2]
    made = S3Store(
        "backups", prefix=unique("p"), endpoint_url=f"http://{host!s}:{port}", access_key="u",
        secret_key="p", timeout=TIMEOUT, attempts=1,
    )  # fmt: skip
    monkeypatch.setattr("kitestring.backup.create.open_catalog", lambda _: Catalog(made))
    return made


def every(number: int, kinds: Sequence[str]) -> Callable[[str, str], str]:
    """One request in so many fails, with each of the kinds in turn."""
    turns, guard, of = itertools.count(1), threading.Lock(), itertools.cycle(kinds)

    def fault(method: str, path: str) -> str:
        with guard:
            if next(turns) % number:
                return ""
            kind = next(of)
        return "reset" if kind == "cut" and method != "GET" else kind

    return fault


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_is_whole_for_all_the_faults(
    server: Any, loaded: LoadedSpec, faulty: Faulty, store: S3Store, kind: str
) -> None:
    faulty.fault = every(9 if kind == "hang" else 4, [kind])
    made = create_backup(loaded, server)
    faulty.fault = lambda method, path: ""
    print(f"{dict(faulty.injected)} injected into {faulty.requests} requests")
    assert sum(faulty.injected.values()) >= 3
    assert verify(Catalog(store), made.id).passed
    assert {i.key for i in store.list("pool/")} == {o.key for o in made.collections[0].objects}
    assert not [*store.list("jobs/"), *store.list("locks/")]


@pytest.mark.parametrize("kind", ["503", "reset", "hang"])
def test_faults_that_last_end_in_a_word_about_them(
    server: Any,
    loaded: LoadedSpec,
    faulty: Faulty,
    store: S3Store,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    patience = Patience(attempts=3, deadline=8.0, first=0.01, longest=0.05, jitter=0.01)
    monkeypatch.setattr("kitestring.clients.store.retrying.Patience", lambda: patience)
    faulty.fault = lambda method, path: kind if "pool/" in path and method == "PUT" else ""
    began = time.monotonic()
    with pytest.raises(StoreUnreachable, match=r"overloaded|no object store answers"):
        create_backup(loaded, server)
    assert time.monotonic() - began < 60
    print(f"{dict(faulty.injected)} injected into {faulty.requests} requests")
    faulty.fault = lambda method, path: ""
    catalog = Catalog(store)
    assert catalog.summaries() == []
    assert not list(store.list("locks/"))
    assert verify(catalog, create_backup(loaded, server).id).passed
