"""A real HTTP endpoint of the OpenAI embeddings protocol whose answers a test decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kitestring.clients.embedder.fake import FakeEmbedder

# what is wrong with a request for these texts: a status, a dimension, or nothing
Fault = Callable[[Sequence[str]], "int | str | None"]


class Endpoint:
    """`fault` says what each request gets; `requests` are the texts of each."""

    def __init__(self, dimension: int) -> None:
        self.fault: Fault = lambda _texts: None
        self.requests: list[list[str]] = []
        self.url = ""
        self._models = {size: FakeEmbedder(dimension=size) for size in (dimension, dimension // 2)}
        self._dimension = dimension
        self.stop = threading.Event()  # lets go of those that are kept waiting

    def answer(self, texts: list[str]) -> tuple[int, dict[str, Any]]:
        self.requests.append(texts)
        fault = self.fault(texts)
        if fault == "silence":
            self.stop.wait(30)
        if isinstance(fault, int):
            return fault, {"error": {"message": f"no, {fault}"}}
        size = self._dimension // 2 if fault == "dimension" else self._dimension
        vectors = self._models[size].embed(texts)
        listed = [{"index": i, "embedding": v.tolist()} for i, v in enumerate(vectors)]
        return 200, {"data": listed}


@contextmanager
def endpoint(dimension: int) -> Iterator[Endpoint]:
    """The endpoint, on a free port of loopback."""
    told = Endpoint(dimension)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = told.answer(body["input"])
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            if status == 429:
                self.send_header("retry-after", "0")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        told.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()
