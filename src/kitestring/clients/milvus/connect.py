"""From a spec's connection, or a `Way`, to a connection."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.milvus.way import SecretKey, Way, way_of
from kitestring.clients.secrets import secret_value
from kitestring.clients.stack_state import read_stack_state
from kitestring.errors import (
    AuthenticationFailed,
    KubernetesError,
    LocalNotRunning,
    SecretMissing,
    ServerUnreachable,
)
from kitestring.spec.loaded import LoadedSpec


def server_uri(loaded: LoadedSpec) -> str:
    """Where the spec's server is; for one behind a port-forward, its name in its cluster.

    Raises:
        LocalNotRunning: the spec names an embedded server, and none runs.
    """
    way = way_of(loaded)
    return _embedded_uri(way) if way.embedded else way.address


def connect(loaded: LoadedSpec) -> MilvusServer:
    """A connection to the spec's server. A port-forward lives as long as the connection.

    Raises:
        LocalNotRunning, ServerUnreachable, AuthenticationFailed, SecretMissing.
        KubernetesUnreachable, KubernetesDenied, KubernetesError: no port-forward was possible.
    """
    return open_way(way_of(loaded), database=loaded.spec.connection.database)


def open_way(way: Way, *, database: str = "default", token: str | None = None) -> MilvusServer:
    """A connection by a way; raises as `connect` does.

    Args:
        token: instead of the one that the way names.
    """
    with ExitStack() as opened:
        uri, failure = _address(way, opened)
        try:
            server = _Server(
                uri,
                token=_token(way) if token is None else token,
                database=database,
                timeout=way.timeout,
                ca_file=_ca_file(way, opened),
                server_name=way.server_name,
            )
        except ServerUnreachable:
            if way.forward is None:
                raise
            why = failure() or "it takes the connection and does not answer"
            raise ServerUnreachable(
                f"no Milvus answers at {way.address} through the port-forward: {why}",
                hint=f"kubectl logs -n {way.forward.namespace} "
                f"-l app.kubernetes.io/instance={way.forward.service.removesuffix('-milvus')}",
                subject=way.address,
            ) from None
        except AuthenticationFailed as error:
            raise AuthenticationFailed(
                f"{way.address} does not accept the token of {_token_source(way)}",
                hint=error.hint,
                subject=way.address,
            ) from None
        server.owned = opened.pop_all()
    if way.forward is not None:
        server.uri = way.address  # the port on this machine means nothing to anybody
    return server


class _Server(MilvusServer):
    """Closes what was opened to reach the server, too."""

    owned: ExitStack | None = None

    def close(self) -> None:
        super().close()
        if self.owned is not None:
            self.owned.close()


def _address(way: Way, opened: ExitStack) -> tuple[str, Callable[[], str]]:
    """A URI on this machine, and what says why it leads nowhere."""
    if way.forward is None:
        return (_embedded_uri(way) if way.embedded else way.uri), str
    from kitestring.clients.kube.portforward import failure_of, forwarded

    to = way.forward
    key = (to.namespace, to.service, to.port, to.context, to.kubeconfig)
    host, port = opened.enter_context(forwarded(*key))
    return f"{'https' if way.tls else 'http'}://{host}:{port}", lambda: failure_of(*key)


def _embedded_uri(way: Way) -> str:
    state = read_stack_state(Path(way.embedded))
    if state is None:
        raise LocalNotRunning(
            f"no embedded Milvus runs for {way.embedded}",
            hint=f"kitestring local up --data {way.embedded}",
            subject=way.embedded,
        )
    return state.uri


def _token(way: Way) -> str:
    if way.token_secret is not None:
        return kube_secret(way, way.token_secret)
    return secret_value(way.token_env, way.token_file)


def _token_source(way: Way) -> str:
    if way.token_secret is not None:
        return f"the Secret {way.token_secret.name}"
    if way.token_env:
        return f"the variable {way.token_env}"
    return f"the file {way.token_file}" if way.token_file else "nobody: none is named"


def kube_secret(way: Way, wanted: SecretKey) -> str:
    """A value of a Secret beside the server of a way.

    Raises:
        SecretMissing: there is no such Secret or key.
        KubernetesUnreachable, KubernetesDenied, KubernetesError.
    """
    from kitestring.clients.kube.connect import connect as connect_kube

    if way.forward is None:
        raise KubernetesError(
            f"the Secret {wanted.name} is in a Kubernetes cluster, and {way.address} is reached "
            "without one"
        )
    where = f"{way.forward.namespace}/{wanted.name}"
    with connect_kube(way.forward.context, way.forward.kubeconfig) as kube:
        values = kube.secret(way.forward.namespace, wanted.name)
    if values is None or wanted.key not in values:
        missing = "there is no Secret" if values is None else f"no key `{wanted.key}` in the Secret"
        raise SecretMissing(
            f"{missing} {where}",
            hint="`pulumi up` makes it; check `cluster.name` and `deployment.namespace` of the "
            "spec, and the context",
            subject=where,
        )
    return values[wanted.key]


def _ca_file(way: Way, opened: ExitStack) -> str:
    """The certificate authority as a file, which is gone with the connection or the process."""
    if way.ca_secret is None:
        return way.ca_file
    text = kube_secret(way, way.ca_secret).encode()
    if hasattr(os, "memfd_create"):  # Linux: no file that a killed process would leave behind
        descriptor = os.memfd_create("kitestring-ca")
        opened.callback(os.close, descriptor)
        os.write(descriptor, text)
        return f"/proc/self/fd/{descriptor}"
    file: Any = opened.enter_context(tempfile.NamedTemporaryFile(prefix="kitestring-ca-"))  # noqa: SIM115
    file.write(text)
    file.flush()
    return str(file.name)
