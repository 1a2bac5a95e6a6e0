"""How many rows would be lost. Deleted ones count where the server can't say better: too many is
the safe side."""

from __future__ import annotations

from kitestring.errors import CollectionNotLoaded
from kitestring.model.collection import Segment
from kitestring.objects.base import Server, Session


def of_collection(session: Session, database: str, name: str) -> int:
    """0 where there is no such collection."""
    if not session.has_database(database):
        return 0
    server = session.server(database)
    if not server.has_collection(name):
        return 0
    if server.describe(name).loaded:
        try:
            return server.count(name)
        except CollectionNotLoaded:  # released in between
            pass
    return sum(s.rows for s in _on_disk(server, name))


def of_partition(session: Session, database: str, collection: str, partition: str) -> int:
    """0 where there is no such partition."""
    if not session.has_database(database):
        return 0
    server = session.server(database)
    if not server.has_collection(collection):
        return 0
    info = server.describe(collection)
    found = next((p for p in info.partitions if p.name == partition), None)
    if found is None:
        return 0
    if info.loaded:
        try:
            return server.admin.partition_rows(collection, partition)
        except CollectionNotLoaded:
            pass
    return sum(s.rows for s in _on_disk(server, collection) if s.partition_id == found.id)


def _on_disk(server: Server, name: str) -> list[Segment]:
    server.flush(name)  # rows in memory only are in no listing
    return server.segments(name)
