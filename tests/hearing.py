"""Servers that hear what is told: SMTP and HTTP, on loopback."""

from __future__ import annotations

import base64
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Posted:
    """A URL, and the documents that were posted to it."""

    url: str = ""
    documents: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def http_server(status: int = 204) -> Iterator[Posted]:
    posted = Posted()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            posted.documents.append(json.loads(text))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Hook)) as port:
        posted.url = f"http://127.0.0.1:{port}/hook"
        yield posted


@dataclass
class Mailbox:
    """A port, the messages that were delivered to it, and how each sender logged in."""

    port: int = 0
    messages: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)


@contextmanager
def smtp_server(
    certificate: ssl.SSLContext | None = None, refused: str = "nobody"
) -> Iterator[Mailbox]:
    """Speaks as much of RFC 5321 as `smtplib` needs: with a certificate STARTTLS (RFC 3207), and
    AUTH PLAIN (RFC 4954). `refused`: the local part of addresses that it does not take."""
    box = Mailbox()

    class Session(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            encrypted, taken = False, []
            self.say("220 sink")
            while line := self.rfile.readline().decode().strip():
                verb, _, rest = line.partition(" ")
                match verb.upper():
                    case "EHLO":
                        starttls = certificate is not None and not encrypted
                        self.say("250-sink\r\n" + "250-STARTTLS\r\n" * starttls + "250 AUTH PLAIN")
                    case "STARTTLS" if certificate is not None:
                        self.say("220 go")
                        self.connection = certificate.wrap_socket(self.request, server_side=True)
                        self.rfile = self.connection.makefile("rb")
                        self.wfile = self.connection.makefile("wb", 0)
                        encrypted = True
                    case "AUTH":
                        box.logins.append(base64.b64decode(rest.split()[-1]).decode())
                        good = box.logins[-1].endswith("\0right")
                        self.say("235 welcome" if good else "535 wrong password")
                    case "RCPT" if f"<{refused}@" in rest:
                        self.say("550 no such user")
                    case "RCPT":
                        taken.append(rest.partition("<")[2].rstrip(">"))
                        self.say("250 ok")
                    case "DATA":
                        self.say("354 go")
                        text = b""
                        while (part := self.rfile.readline()) not in (b".\r\n", b""):
                            text += part.removeprefix(b".")  # "transparency" of the RFC
                        box.messages.append(message_from_bytes(text))
                        box.recipients += taken
                        box.encrypted.append(encrypted)
                        self.say("250 taken")
                    case "QUIT":
                        self.say("221 bye")
                        return
                    case _:
                        self.say("250 ok")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)) as port:
        box.port = port
        yield box


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield int(server.server_address[1])  # type: ignore[index]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
