"""From a spec's connection to a connection."""

from __future__ import annotations

import os
from pathlib import Path

from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.stack_state import read_stack_state
from kitestring.errors import LocalNotRunning, SecretMissing
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.types import SecretRef


def read_secret(loaded: LoadedSpec, reference: SecretRef | None) -> str:
    """The secret that a reference names; empty where there is no reference.

    Raises:
        SecretMissing: the variable is not set, or the file can't be read.
    """
    if reference is None:
        return ""
    if reference.env is not None:
        value = os.environ.get(reference.env)
        if value is None:
            raise SecretMissing(
                f"the environment variable `{reference.env}` is not set",
                hint=f"export {reference.env}, or name another variable or file in {loaded.file}",
                subject=reference.env,
            )
        return value.strip()
    path: Path = loaded.resolve(reference.file or "")
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SecretMissing(
            f"the secret's file {path} can't be read: {error.strerror}",
            hint=f"create it, or name another variable or file in {loaded.file}",
            subject=str(path),
        ) from None


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
