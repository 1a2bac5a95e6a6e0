"""Reads the settings of the connection's database, where the spec declares them."""

from __future__ import annotations

from dataclasses import replace

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import MilvusError, ServerUnreachable
from kitestring.model.database import DatabaseSeen
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec


def probe_database(loaded: LoadedSpec, milvus: Milvus, snapshot: Snapshot) -> Snapshot:
    """Adds the database's properties; nothing where the spec has no `database`.

    Raises:
        ServerUnreachable: the server went away.
    """
    if loaded.spec.database is None:
        return snapshot
    name = loaded.spec.connection.database
    try:
        found = milvus.admin.database_properties(name)
    except ServerUnreachable:
        raise
    except MilvusError as error:
        seen = DatabaseSeen(name, reason=error.message)
    else:
        old = (
            f"Milvus {milvus.version().removeprefix('v')} can't tell them" if found is None else ""
        )
        seen = DatabaseSeen(name, found, old)
    return replace(snapshot, database=seen)
