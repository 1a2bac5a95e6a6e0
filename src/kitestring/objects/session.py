"""Connections to the server that objects are in. Every session of a process shares one connection
for each database, and one port-forward."""

from __future__ import annotations

import threading

from kitestring.clients.milvus.way import SecretKey, Way, way_from
from kitestring.clients.secrets import secret_value
from kitestring.errors import AuthenticationFailed, SecretMissing
from kitestring.objects.base import Props, Server

_servers: dict[tuple[Way, str], Server] = {}
_lock = threading.Lock()


class LiveSession:
    """Implements `Session` for the server that a resource's `connection` leads to."""

    def __init__(self, connection: Props, allowed: frozenset[str], adopted: frozenset[str]) -> None:
        self.allowed = allowed
        self.adopted = adopted
        self._way = way_from(dict(connection))

    def server(self, database: str = "default") -> Server:
        from kitestring.clients.milvus.connect import open_way

        with _lock:
            key = (self._way, database)
            if key not in _servers:
                _servers[key] = open_way(self._way, database=database)
            return _servers[key]

    def has_database(self, name: str) -> bool:
        return name == "default" or name in self.server().admin.list_databases()

    def password(self, reference: Props) -> str:
        secret = reference.get("secret")
        if secret is None:
            found = secret_value(str(reference.get("env") or ""), str(reference.get("file") or ""))
        else:
            from kitestring.clients.milvus.connect import kube_secret

            found = kube_secret(self._way, SecretKey(secret["name"], secret["key"]))
        if not found:
            raise SecretMissing("the password is empty", hint="Milvus wants 6 to 256 characters")
        return found

    def login(self, user: str, password: str) -> bool:
        from kitestring.clients.milvus.connect import open_way

        try:
            open_way(self._way, token=f"{user}:{password}").close()
        except AuthenticationFailed:
            return False
        return True
