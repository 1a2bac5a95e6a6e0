"""Databases, partitions, users, roles and privileges of a server.

Servers differ: 2.3 can't describe or change a database, can't take a property away from a
collection, and changes a password only for who knows the old one. What a server can't do is a
MilvusError that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kitestring.clients.milvus.failures import translated, unknown_call
from kitestring.clients.milvus.unknown import UnknownToServer, cannot_add
from kitestring.clients.milvus.values import field_options
from kitestring.errors import MilvusError
from kitestring.model.access import Privilege
from kitestring.model.collection import Field

if TYPE_CHECKING:
    from pymilvus import MilvusClient

DEFAULT_DATABASE = "default"
_UNKNOWN_KEYS = {"name", "db_name"}


class Administration:
    """What `MilvusAdmin` promises, over the `MilvusClient` of a connection."""

    def __init__(self, client: MilvusClient, uri: str, database: str, timeout: float) -> None:
        self._client = client
        self._uri = uri
        self._database = database
        self._timeout = timeout

    # --- databases

    def list_databases(self) -> list[str]:
        with self._call("list databases"):
            return sorted(str(n) for n in self._client.list_databases(timeout=self._timeout))

    def database_properties(self, name: str) -> dict[str, str] | None:
        """None where the server (before 2.4) can't say."""
        try:
            with self._call("describe a database"):
                found = self._client.describe_database(name, timeout=self._timeout)
        except UnknownToServer:
            return None
        return {str(k): str(v) for k, v in found.items() if k not in _UNKNOWN_KEYS}

    def create_database(self, name: str, properties: Mapping[str, str] | None = None) -> None:
        with self._call("create a database"):
            self._client.create_database(
                name, properties=dict(properties) if properties else None, timeout=self._timeout
            )

    def alter_database(self, name: str, properties: Mapping[str, str]) -> None:
        with self._call("change a database"):
            self._client.alter_database_properties(name, dict(properties), timeout=self._timeout)

    def drop_database(self, name: str) -> None:
        """The server refuses while there are collections in it."""
        with self._call("drop a database"):
            self._client.drop_database(name, timeout=self._timeout)

    # --- of a collection

    def create_partition(self, collection: str, partition: str) -> None:
        with self._call("create a partition"):
            self._client.create_partition(collection, partition, timeout=self._timeout)

    def drop_partition(self, collection: str, partition: str) -> None:
        """Releases the partition first: a loaded one can't be dropped."""
        with self._call("drop a partition"):
            self._client.release_partitions(collection, [partition], timeout=self._timeout)
            self._client.drop_partition(collection, partition, timeout=self._timeout)

    def partition_rows(self, collection: str, partition: str) -> int:
        """Rows of a partition of a loaded collection, at strong consistency."""
        with self._call("count the rows of a partition"):
            answer = self._client.query(
                collection,
                filter="",
                output_fields=["count(*)"],
                partition_names=[partition],
                consistency_level="Strong",
                timeout=self._timeout * 3,
            )
        return int(answer[0]["count(*)"])

    def add_field(self, collection: str, field: Field) -> None:
        """From 2.6 on."""
        from pymilvus import DataType

        try:
            with self._call("add a field"):
                self._client.add_collection_field(
                    collection,
                    field.name,
                    DataType[field.type],
                    desc=field.description,
                    timeout=self._timeout,
                    **{k: v for k, v in field_options(field).items() if k != "description"},
                )
        except UnknownToServer:
            with self._call("tell its version"):
                version = str(self._client.get_server_version(timeout=self._timeout))
            raise cannot_add(version, collection, [field.name]) from None

    def alter_collection(self, name: str, properties: Mapping[str, str]) -> None:
        """Sets properties; those that are not named stay."""
        with self._call("change properties"):
            self._client.alter_collection_properties(name, dict(properties), timeout=self._timeout)

    def drop_properties(self, name: str, keys: Sequence[str]) -> None:
        """From 2.5 on."""
        with self._call("take properties away"):
            self._client.drop_collection_properties(name, list(keys), timeout=self._timeout)

    # --- users

    def list_users(self) -> list[str]:
        with self._call("list users"):
            return sorted(str(n) for n in self._client.list_users(timeout=self._timeout))

    def create_user(self, name: str, password: str) -> None:
        with self._call("create a user"):
            self._client.create_user(name, password, timeout=self._timeout)

    def change_password(self, name: str, old: str, new: str) -> None:
        """Raises MilvusError where `old` is not the password."""
        with self._call("change a password"):
            self._client.update_password(name, old, new, timeout=self._timeout)

    def drop_user(self, name: str) -> None:
        with self._call("drop a user"):
            self._client.drop_user(name, timeout=self._timeout)

    def roles_of(self, user: str) -> tuple[str, ...] | None:
        """None where there is no such user."""
        with self._call("describe a user"):
            found = self._client.describe_user(user, timeout=self._timeout)
        return tuple(sorted(found.get("roles") or ())) if found else None

    def give_role(self, user: str, role: str) -> None:
        with self._call("give a role"):
            self._client.grant_role(user, role, timeout=self._timeout)

    def take_role(self, user: str, role: str) -> None:
        with self._call("take a role away"):
            self._client.revoke_role(user, role, timeout=self._timeout)

    # --- roles and what they may do

    def list_roles(self) -> list[str]:
        with self._call("list roles"):
            return sorted(str(n) for n in self._client.list_roles(timeout=self._timeout))

    def create_role(self, name: str) -> None:
        with self._call("create a role"):
            self._client.create_role(name, timeout=self._timeout)

    def drop_role(self, name: str) -> None:
        """With everything that it may do, in every database."""
        with self._call("drop a role"):
            # 2.3 does not know `force_drop`
            for database in self._client.list_databases(timeout=self._timeout):
                for privilege in self._privileges(name, database):
                    self._operate("revoke", name, privilege, database)
            self._client.drop_role(name, force_drop=True, timeout=self._timeout)

    def privileges(self, role: str, *, database: str | None = None) -> frozenset[Privilege]:
        with self._call("describe a role"):
            return self._privileges(role, database or self._database)

    def grant(self, role: str, privilege: Privilege) -> None:
        with self._call("grant a privilege"):
            self._operate("grant", role, privilege, self._database)

    def revoke(self, role: str, privilege: Privilege) -> None:
        with self._call("revoke a privilege"):
            self._operate("revoke", role, privilege, self._database)

    def _privileges(self, role: str, database: str) -> frozenset[Privilege]:
        found = self._client.describe_role(role, timeout=self._timeout, db_name=database)
        return frozenset(
            Privilege(str(p["object_type"]), str(p["object_name"]), str(p["privilege"]))
            for p in found["privileges"]
            if p.get("db_name", database) in (database, "*")
        )

    def _operate(self, what: str, role: str, privilege: Privilege, database: str) -> None:
        getattr(self._client, f"{what}_privilege")(
            role,
            privilege.object,
            privilege.privilege,
            privilege.name,
            db_name=database,
            timeout=self._timeout,
        )

    @contextmanager
    def _call(self, what: str) -> Iterator[None]:
        try:
            with translated(self._uri):
                yield
        except MilvusError as error:
            if unknown_call(error):
                raise UnknownToServer(
                    f"this version of Milvus can't {what}", subject=self._uri
                ) from None
            raise
