"""A given server as the target of a drill: a database of its own there, dropped afterwards."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from kitestring.backup.interrupts import shielded
from kitestring.backup.restore import RestoreTarget
from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.milvus.connect import open_way
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.milvus.unknown import UnknownToServer
from kitestring.clients.milvus.way import Way, way_of
from kitestring.clients.store.connect import open_segment_store
from kitestring.drill.identity import (
    endpoint_of,
    refuse_same_collections,
    refuse_seen,
    refuse_source,
)
from kitestring.drill.standing import Standing
from kitestring.errors import DrillFailed, DrillRefused, KitestringError, MilvusError
from kitestring.model.backup import BackupManifest
from kitestring.spec.loaded import LoadedSpec

DATABASE = "kitestring_drill_"
_NAME = re.compile(DATABASE + r"([0-9a-f]+)_[0-9a-f]{8}")
_ABANDONED = 2 * 86400.0  # seconds after which nobody can be at work in a drill's database


@contextmanager
def given(
    source: LoadedSpec, target: LoadedSpec, manifest: BackupManifest, *, keep: bool = False
) -> Iterator[Standing]:
    """The cluster of another spec.

    Everything is restored into a database that is made for the drill. Users and roles are the
    whole server's, and are left alone.

    Raises:
        DrillRefused: it is the source, or knows no databases.
        what `connect` and `open_segment_store` raise.
    """
    way, endpoint = way_of(target), endpoint_of(target)
    if endpoint is not None:
        refuse_source(endpoint_of(source), endpoint)
    store, root = (None, "") if target.spec.storage is None else open_segment_store(target)
    with open_way(way) as outside:
        kind = target.spec.cluster.name
        with _database(source, outside, way, manifest, keep) as name:
            left = f"the restored copy is in the database `{name}` of {outside.uri}" if keep else ""
            with open_way(way, database=name) as server:
                yield Standing(
                    RestoreTarget(server, store, root, admin=server.admin, database=name),
                    kind,
                    access=False,
                    left=left,
                )


@contextmanager
def _database(
    source: LoadedSpec, outside: MilvusServer, way: Way, manifest: BackupManifest, keep: bool
) -> Iterator[str]:
    """A new database on a server that is not the source; it is gone when the block ends."""
    name = f"{DATABASE}{int(time.time()):x}_{secrets.token_hex(4)}"
    databases = _databases(outside)
    if manifest.database in databases:
        with open_way(way, database=manifest.database) as inside:
            refuse_same_collections(inside, outside.uri, [c.id for c in manifest.collections])
    for old in databases:
        if _abandoned(old):
            _drop(way, outside, old)
    done = False
    try:
        outside.admin.create_database(name)
        _refuse_marked(source, name, outside.uri)
        yield name
        done = True
    finally:
        if not (keep and done):
            with shielded():
                aliases = [a for c in manifest.collections for a in c.aliases]
                _drop(way, outside, name, aliases)


def _databases(server: MilvusServer) -> list[str]:
    try:
        return server.admin.list_databases()
    except UnknownToServer:
        raise DrillRefused(
            f"the server at {server.uri} knows no databases: a drill would restore among the "
            "collections that are there",
            hint="drill to a server of 2.3 or later, or without --target-spec",
            subject=server.uri,
        ) from None


def _refuse_marked(source: LoadedSpec, marker: str, uri: str) -> None:
    databases: list[str] = []
    with suppress(KitestringError), open_way(way_of(source)) as server:
        databases = server.admin.list_databases()
    refuse_seen(databases, marker, uri)  # a source that is down is not the target


def _abandoned(database: str) -> bool:
    """Whether a drill that was killed long ago has left it."""
    match = _NAME.fullmatch(database)
    return match is not None and time.time() - int(match.group(1), 16) > _ABANDONED


def _drop(way: Way, outside: MilvusServer, name: str, aliases: Iterable[str] = ()) -> None:
    """Drops a database of a drill with all that is in it. `aliases` may lead to its collections:
    a description's own list may be stale.

    Raises:
        DrillFailed: something of it is left; the message names it.
    """
    try:
        if name not in outside.admin.list_databases():
            return
        with open_way(way, database=name) as inside:
            for collection in inside.list_collections():
                _drop_collection(inside, collection, aliases)
        outside.admin.drop_database(name)
    except MilvusError as error:
        raise DrillFailed(
            f"the drill's database `{name}` could not be dropped from {outside.uri}: "
            f"{error.message}",
            hint="drop it by hand: a later drill does it after two days",
            subject=name,
        ) from error


def _drop_collection(server: Milvus, name: str, aliases: Iterable[str]) -> None:
    for alias in {*server.describe(name).aliases, *aliases}:
        if server.alias_owner(alias) == name:
            server.drop_alias(alias)
    server.drop_collection(name)
