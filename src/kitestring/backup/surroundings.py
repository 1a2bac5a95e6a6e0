"""What belongs to a backup beside its collections: the database, users, roles and grants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kitestring.clients.milvus.protocol import Milvus, MilvusAdmin
from kitestring.errors import MilvusError, ServerUnreachable
from kitestring.model.access import Privilege
from kitestring.model.backup import AccessBackup

DEFAULT_DATABASE = "default"
ACCESS = "users, roles and grants"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`left_out` says by name what could not be read, or is not of this backup."""

    database: str
    properties: Mapping[str, str]
    access: AccessBackup | None
    left_out: tuple[str, ...]


def read_surroundings(milvus: Milvus) -> Surroundings:
    """Reads them; what the user may not read is left out, and named.

    Raises:
        ServerUnreachable.
    """
    database = str(getattr(milvus, "database", "") or DEFAULT_DATABASE)
    admin: MilvusAdmin | None = getattr(milvus, "admin", None)
    if admin is None:
        return Surroundings(database, {}, None, (ACCESS,))
    left_out: list[str] = []
    try:
        others = [name for name in admin.list_databases() if name != database]
        left_out += [f"database {name}" for name in others]
    except ServerUnreachable:
        raise
    except MilvusError:
        left_out.append("other databases")
    properties: Mapping[str, str] = {}
    try:
        properties = admin.database_properties(database) or {}
    except ServerUnreachable:
        raise
    except MilvusError:
        left_out.append(f"properties of the database {database}")
    access = None
    try:
        access = read_access(admin)
    except ServerUnreachable:
        raise
    except MilvusError:
        left_out.append(ACCESS)
    return Surroundings(database, properties, access, tuple(left_out))


def read_access(admin: MilvusAdmin) -> AccessBackup:
    """Users, their roles, and what the roles may do in the database of the connection.

    Raises:
        PermissionDenied, MilvusError: the user may not read them.
    """
    users = {name: admin.roles_of(name) or () for name in admin.list_users()}
    roles: dict[str, tuple[Privilege, ...]] = {
        name: tuple(sorted(admin.privileges(name))) for name in admin.list_roles()
    }
    return AccessBackup(users, roles)
