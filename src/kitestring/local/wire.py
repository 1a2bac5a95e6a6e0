"""The little of gRPC that readiness needs. pymilvus would take seconds to import, and the client
of etcd is no dependency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def call(port: int, method: str, request: bytes, *, timeout: float) -> bytes:
    """One unary call with messages as bytes.

    Raises:
        grpc.RpcError: no answer, or one that is not OK.
    """
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = channel.unary_unary(method)
        answer: bytes = stub(request, timeout=timeout)
        return answer


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of the top-level fields of a protobuf message (wire types 0 and 2)."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value, at = _varint(message, at)
        if tag & 7 == 2:
            yield tag >> 3, message[at : at + value]
            at += value
        else:
            yield tag >> 3, value


def text_field(number: int, value: bytes) -> bytes:
    """One length-delimited field; its number is below 16 and it has less than 128 bytes."""
    return bytes((number << 3 | 2, len(value))) + value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
