"""Milvus's and gRPC's errors as Kitestring's, with a hint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from pymilvus.exceptions import MilvusException

from kitestring.errors import (
    AuthenticationFailed,
    CollectionNotFound,
    CollectionNotLoaded,
    KitestringError,
    MilvusError,
    PermissionDenied,
    ServerUnreachable,
)

_BY_TEXT: tuple[tuple[tuple[str, ...], type[MilvusError], str], ...] = (
    (
        ("auth check failure", "unauthenticated", "invalid token", "missing authorization"),
        AuthenticationFailed,
        "check the secret that `connection.token` of the spec names",
    ),
    (
        ("permission deny", "permission denied", "permissiondenied"),
        PermissionDenied,
        "grant the user the privilege that the message names",
    ),
    (
        ("collection not found", "can't find collection", "collection not exist"),
        CollectionNotFound,
        "`kitestring status` lists the collections of the server",
    ),
    (
        ("collection not loaded", "not loaded into memory"),
        CollectionNotLoaded,
        "load it; `kitestring drift` shows what differs from the spec",
    ),
    (
        (
            "fail connecting",
            "failed to connect",
            "deadline exceeded",
            "connection refused",
            "find no available",
            "not ready yet",
        ),
        ServerUnreachable,
        "check `connection` in the spec, and that the server runs",
    ),
)


def translate(error: BaseException, uri: str) -> KitestringError:
    """The Kitestring error for what pymilvus or gRPC raised."""
    if isinstance(error, KitestringError):
        return error
    origin = error.__cause__ or error.__context__
    if isinstance(origin, grpc.RpcError) and not isinstance(error, grpc.RpcError):
        # pymilvus calls every failure to connect the same; its cause knows of wrong passwords
        meant = translate(origin, uri)
        if isinstance(meant, AuthenticationFailed | PermissionDenied):
            return meant
    text = str(getattr(error, "message", "") or error).strip()
    if isinstance(error, grpc.RpcError):
        code = error.code()
        text = f"{code.name.lower().replace('_', ' ')}: {error.details()}"
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            text = f"failed to connect: {text}"
    lowered = text.lower()
    for needles, kind, hint in _BY_TEXT:
        if any(needle in lowered for needle in needles):
            if kind is ServerUnreachable:
                return kind(f"no Milvus answers at {uri}", hint=hint, subject=uri)
            return kind(_short(text), hint=hint, subject=uri)
    return MilvusError(_short(text), subject=uri)


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Within it, errors of pymilvus and gRPC become Kitestring's."""
    try:
        yield
    except (MilvusException, grpc.RpcError) as error:
        raise translate(error, uri) from error


def unknown_call(error: MilvusError) -> bool:
    """Whether the server said that it does not have the call at all."""
    cause = error.__cause__
    return isinstance(cause, grpc.RpcError) and cause.code() is grpc.StatusCode.UNIMPLEMENTED


def _short(text: str) -> str:
    """The first line of a server's message, without its stack."""
    line = next((line for line in text.splitlines() if line.strip()), "unknown error")
    return line if len(line) <= 300 else line[:297] + "..."
