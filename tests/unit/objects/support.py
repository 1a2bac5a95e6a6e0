"""A session on a cluster in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kitestring.clients.milvus.memory import MemoryCluster, MemoryMilvus
from kitestring.errors import AuthenticationFailed, SecretMissing


@dataclass
class MemorySession:
    """Implements `Session` on a cluster in memory."""

    cluster: MemoryCluster
    passwords: dict[str, str] = field(default_factory=dict)  # of variables, and the `given` one
    allowed: frozenset[str] = frozenset()
    adopted: frozenset[str] = frozenset()

    def server(self, database: str = "default") -> MemoryMilvus:
        return self.cluster.connect(database)

    def has_database(self, name: str) -> bool:
        return name in self.cluster.databases

    def password(self, reference: dict[str, Any]) -> str:
        given = "given" if reference.get("given") else ""
        name = given or reference.get("env") or reference["secret"]["key"]
        if name not in self.passwords:
            raise SecretMissing(f"`{name}` is not set")
        return self.passwords[name]

    def login(self, user: str, password: str) -> bool:
        try:
            self.cluster.connect(token=f"{user}:{password}")
        except AuthenticationFailed:
            return False
        return True
