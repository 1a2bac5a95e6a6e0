"""What a server is too old for."""

from __future__ import annotations

from collections.abc import Sequence

from kitestring.errors import MilvusError
from kitestring.model.versions import cannot_add_fields


class UnknownToServer(MilvusError):
    """The server is of a version that does not have the call."""

    code = "milvus.unknown-call"


def cannot_add(version: str, collection: str, fields: Sequence[str]) -> UnknownToServer:
    """The error of a server that can't add fields."""
    named = ", ".join(f"`{name}`" for name in fields)
    return UnknownToServer(
        f"`{collection}` has no {named}: {cannot_add_fields(version)}",
        hint="upgrade the server; or make a collection of another name, ingest into it and move "
        "the alias",
        subject=collection,
    )
