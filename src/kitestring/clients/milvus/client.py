"""The Milvus connection over pymilvus's `MilvusClient` and its generated gRPC stubs.

pymilvus marks its ORM for removal; `MilvusClient` and the stubs stay. The stubs serve what the
client does not have (bulk import, replicas) and what it is slow at (columns without row dicts).
"""

from __future__ import annotations

from kitestring.clients.milvus.administration import Administration
from kitestring.clients.milvus.columnar import Columnar
from kitestring.clients.milvus.defining import Defining
from kitestring.clients.milvus.maintaining import Maintaining
from kitestring.clients.milvus.rows import Rows
from kitestring.clients.milvus.waiting import wait_until as wait_until


class MilvusServer(Maintaining, Defining, Rows):
    """One connection; use it as a context manager, or `close` it.

    Args:
        uri: `http://host:port` or `https://…`.
        token: `user:password` or an API key; empty for none.
        database: the database that every call works in.
        timeout: deadline of one request, in seconds.
        ca_file: certificate authority in PEM for `https`.

    Raises:
        ServerUnreachable, AuthenticationFailed: at once, not at the first call.
    """

    @property
    def admin(self) -> Administration:
        """Databases, partitions, users, roles and privileges."""
        return Administration(self._client, self.uri, self.database, self._timeout)

    @property
    def columnar(self) -> Columnar:
        """Rows by column, many at a time."""
        return Columnar(self._call, self.database, self._timeout)
