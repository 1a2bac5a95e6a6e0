"""What a Milvus server, the embedded one too, answers or does not."""

from __future__ import annotations

from kitestring.errors.base import KitestringError


class MilvusError(KitestringError):
    """Milvus answered with an error."""

    code = "milvus.error"


class ServerUnreachable(MilvusError):
    """Nothing answers at the URI within the deadline."""

    code = "milvus.unreachable"


class AuthenticationFailed(MilvusError):
    """The token or password is wrong."""

    code = "milvus.authentication"


class PermissionDenied(MilvusError):
    """The user may not do this."""

    code = "milvus.permission"


class CollectionNotFound(MilvusError):
    """The server has no collection (or alias) of that name."""

    code = "milvus.collection-not-found"


class CollectionNotLoaded(MilvusError):
    """The collection has to be loaded for what was asked."""

    code = "milvus.not-loaded"


class RowsHidden(MilvusError):
    """The server counts rows that it does not give: what was read is not everything."""

    code = "milvus.rows-hidden"


class DimensionMismatch(MilvusError):
    """An embedder gives vectors of another dimension than the collection holds."""

    code = "embedding.dimension"


class LocalError(KitestringError):
    """The embedded stack could not do what was asked."""

    code = "local.error"


class LocalStartFailed(LocalError):
    """The server process ended, or did not answer before the deadline."""

    code = "local.start-failed"


class LocalNotRunning(LocalError):
    """No embedded server runs for this data directory."""

    code = "local.not-running"
