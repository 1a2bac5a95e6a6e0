"""Reads users, roles and what they may do, where the spec declares them."""

from __future__ import annotations

from dataclasses import replace

from kitestring.clients.milvus.protocol import Milvus, MilvusAdmin
from kitestring.errors import MilvusError, ServerUnreachable
from kitestring.model.access import AccessSeen, Privilege
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

BUILT_IN_ROLES = ("admin", "public")


def probe_access(loaded: LoadedSpec, milvus: Milvus, snapshot: Snapshot) -> Snapshot:
    """Adds who may do what; nothing where the spec has no `access`.

    A connection that may not look gives an `AccessSeen` with a reason.

    Raises:
        ServerUnreachable: the server went away.
    """
    if loaded.spec.access is None:
        return snapshot
    try:
        seen = _read(milvus.admin, loaded.spec.connection.database)
    except ServerUnreachable:
        raise
    except MilvusError as error:
        seen = AccessSeen(reason=error.message)
    return replace(snapshot, access=seen)


def _read(admin: MilvusAdmin, mine: str) -> AccessSeen:
    roles = [role for role in admin.list_roles() if role not in BUILT_IN_ROLES]
    others = [name for name in admin.list_databases() if name != mine]
    elsewhere: dict[str, dict[str, frozenset[Privilege]]] = {}
    for role in roles:
        for database in others:
            if found := admin.privileges(role, database=database):
                elsewhere.setdefault(role, {})[database] = found
    return AccessSeen(
        users={user: admin.roles_of(user) or () for user in admin.list_users()},
        roles={role: admin.privileges(role) for role in roles},
        elsewhere=elsewhere,
    )
