"""One connection to a server: pymilvus's `MilvusClient`, and a channel for its generated stubs."""

from __future__ import annotations

import base64
import logging
from typing import Any, Self

import grpc
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException
from pymilvus.grpc_gen import milvus_pb2_grpc

from kitestring.clients.milvus.failures import translated

_MAX_MESSAGE = 512 * 1024 * 1024  # bytes; pymilvus's own limit is unlimited on receive


class Session:
    """What the parts of `MilvusServer` call the server through; its arguments are told there."""

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        database: str = "default",
        timeout: float = 10.0,
        ca_file: str = "",
        server_name: str = "",
    ) -> None:
        self.uri = uri
        self.database = database
        self._timeout = timeout
        # pymilvus logs what it also raises
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        options: dict[str, Any] = {}
        if ca_file:
            options["server_pem_path"] = ca_file
        if server_name:
            options["server_name"] = server_name
        with translated(uri):
            self._client = MilvusClient(
                uri=uri, token=token, db_name=database, timeout=timeout, **options
            )
        self._channel = _channel(uri, ca_file, server_name)
        self._stub = milvus_pb2_grpc.MilvusServiceStub(self._channel)
        self._metadata = [("dbname", database)]
        if token:
            encoded = base64.b64encode(token.encode()).decode()
            self._metadata.append(("authorization", encoded))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()
        self._client.close()

    def version(self) -> str:
        with translated(self.uri):
            return str(self._client.get_server_version(timeout=self._timeout))

    def _call(self, method: str, request: Any, *, timeout: float | None = None) -> Any:
        """One raw call; raises a MilvusError for a status that is not success."""
        with translated(self.uri):
            answer = getattr(self._stub, method)(
                request, timeout=timeout or self._timeout, metadata=self._metadata
            )
        status = getattr(answer, "status", answer)  # some calls answer with nothing else
        if status.code or status.error_code:
            with translated(self.uri):
                raise MilvusException(status.code or status.error_code, status.reason)
        return answer


def _channel(uri: str, ca_file: str, server_name: str) -> grpc.Channel:
    address = uri.split("://", 1)[-1].rstrip("/")
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", _MAX_MESSAGE),
        ("grpc.max_receive_message_length", _MAX_MESSAGE),
    ]
    if not uri.startswith("https://"):
        return grpc.insecure_channel(address, options)
    if server_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    root = None
    if ca_file:
        with open(ca_file, "rb") as file:  # noqa: PTH123 - read once at connection
            root = file.read()
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(root), options)
