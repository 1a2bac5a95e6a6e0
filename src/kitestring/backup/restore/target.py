"""Where a restore goes: a server, one of its databases, and the store of its segments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from kitestring.clients.milvus.protocol import Milvus, MilvusAdmin
from kitestring.clients.store.connect import open_segment_store
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import MilvusError
from kitestring.spec.loaded import LoadedSpec

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """A server, and the store that it keeps its segments in, with its root path in it.

    A `disposable` server is removed by who started it: a restore that fails leaves it as it is,
    which ends an interrupted drill at once.
    """

    milvus: Milvus
    store: ObjectStore | None  # None: not reachable; logical backups only
    root: str = ""
    disposable: bool = False
    admin: MilvusAdmin | None = None  # None: users, roles and grants are left alone
    database: str = DEFAULT
    absent: bool = False  # the database is not there, and `milvus` is in another one: plan only


@contextmanager
def open_target(
    loaded: LoadedSpec,
    database: str | None = None,
    *,
    properties: Mapping[str, str] | None = None,
    create: bool = True,
) -> Iterator[RestoreTarget]:
    """The cluster of a spec.

    Args:
        database: None for that of the spec's connection.
        properties: of the database, where it has to be created.
        create: create the database when it is absent; else the target is for a plan only. A
            database that was created is dropped again when the block fails.

    Raises:
        what `connect` and `open_segment_store` raise; a spec without `storage` is no error.
    """
    from kitestring.clients.milvus.connect import open_way  # pymilvus takes seconds
    from kitestring.clients.milvus.way import way_of

    wanted = database or loaded.spec.connection.database
    store, root = (None, "") if loaded.spec.storage is None else open_segment_store(loaded)
    way = way_of(loaded)
    if wanted == DEFAULT:
        with open_way(way) as server:
            yield RestoreTarget(server, store, root, admin=server.admin)
        return
    with open_way(way) as outside:
        missing = wanted not in outside.admin.list_databases()
        if missing and not create:
            yield RestoreTarget(
                outside, store, root, admin=outside.admin, database=wanted, absent=True
            )
            return
        if missing:
            outside.admin.create_database(wanted, properties)
        try:
            with open_way(way, database=wanted) as server:
                yield RestoreTarget(server, store, root, admin=server.admin, database=wanted)
        except BaseException:
            if missing:
                with suppress(MilvusError):  # the server refuses while there is something in it
                    outside.admin.drop_database(wanted)
            raise
