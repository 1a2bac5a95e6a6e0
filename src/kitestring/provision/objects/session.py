"""Connections of one run of the engine. The provider's process serves all resources of a stack:
they share one connection for each database, and one port-forward."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from kitestring.clients.milvus.way import SecretKey, Way, way_from
from kitestring.clients.secrets import secret_value
from kitestring.errors import AuthenticationFailed, ProvisionError, SecretMissing
from kitestring.provision.objects.base import ADOPT, ALLOW, Props, Server

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


def session_for(props: Props, setting: Callable[[str], Any]) -> LiveSession:
    """The session of a resource.

    Args:
        setting: gives the stack's configuration by key.

    Raises:
        ProvisionError: the configuration is not of the form expected.
    """
    return LiveSession(
        props["connection"], names(ALLOW, setting(ALLOW)), names(ADOPT, setting(ADOPT))
    )


def names(key: str, value: Any) -> frozenset[str]:
    """The ids that a list of the stack's configuration names.

    Raises:
        ProvisionError: it is no list of texts.
    """
    if value is None:
        return frozenset()
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if isinstance(found, Mapping) or not isinstance(found, list | tuple):
        raise ProvisionError(
            f"the stack's `{key}` is no list of ids",
            hint=f"pulumi config set --path '{key}[0]' DATABASE/COLLECTION",
        )
    return frozenset(map(str, found))
