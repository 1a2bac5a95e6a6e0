"""From a spec's connection to a connection."""

from __future__ import annotations

from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.secrets import read_secret
from kitestring.clients.stack_state import read_stack_state
from kitestring.errors import LocalNotRunning
from kitestring.spec.loaded import LoadedSpec


def server_uri(loaded: LoadedSpec) -> str:
    """Where the spec's server is.

    Raises:
        LocalNotRunning: the spec names an embedded server, and none runs.
    """
    connection = loaded.spec.connection
    if connection.uri is not None:
        return connection.uri
    data = loaded.resolve(connection.embedded or "")
    state = read_stack_state(data)
    if state is None:
        raise LocalNotRunning(
            f"no embedded Milvus runs for {data}",
            hint=f"kitestring local up --data {data}",
            subject=str(data),
        )
    return state.uri


def connect(loaded: LoadedSpec) -> MilvusServer:
    """A connection to the spec's server.

    Raises:
        LocalNotRunning, ServerUnreachable, AuthenticationFailed, SecretMissing.
    """
    connection = loaded.spec.connection
    tls = connection.tls
    return MilvusServer(
        server_uri(loaded),
        token=read_secret(loaded, connection.token),
        database=connection.database,
        timeout=connection.timeout,
        ca_file=str(loaded.resolve(tls.ca_file)) if tls and tls.ca_file else "",
        server_name=(tls.server_name or "") if tls else "",
    )
