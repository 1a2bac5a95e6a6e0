"""How a server is reached, without a secret in it: what a spec's `connection` comes to.

A `Way` can be written into a file that others read (Pulumi's state): it names the variable, file
or Kubernetes Secret that the token is in, and never the token.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from kitestring.model.codec import from_plain
from kitestring.spec.deployment import GivenTls
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import Connection, PortForward, Tls
from kitestring.spec.types import SecretRef

GRPC_PORT = 19530
TOKEN_KEY, CA_KEY = "token", "ca.crt"


@dataclass(frozen=True, slots=True)
class Forward:
    """A port-forward to a Service. `context` and `kubeconfig` are those of `kubectl`."""

    namespace: str
    service: str
    port: int = GRPC_PORT
    context: str | None = None
    kubeconfig: str | None = None


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A value of a Secret in the namespace of the forward."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Way:
    """One of `uri`, `embedded` and `forward` is given; paths are absolute."""

    uri: str = ""
    embedded: str = ""  # data directory
    forward: Forward | None = None
    tls: bool = False  # of a forward; a `uri` says it by its scheme
    ca_file: str = ""
    ca_secret: SecretKey | None = None
    server_name: str = ""
    token_env: str = ""
    token_file: str = ""
    token_secret: SecretKey | None = None
    timeout: float = 10.0  # seconds, of one request

    @property
    def address(self) -> str:
        """What a message calls the server."""
        if self.forward is not None:
            scheme = "https" if self.tls else "http"
            return f"{scheme}://{self.forward.service}.{self.forward.namespace}.svc:{self.forward.port}"
        return self.uri or self.embedded

    def plain(self) -> dict[str, Any]:
        """Plain values without those that are empty."""
        return _filled(self)


def way_from(data: dict[str, Any]) -> Way:
    """The way that `Way.plain` gave.

    Raises:
        ValueError: an unknown or missing key.
    """
    return from_plain(Way, data)


def way_of(loaded: LoadedSpec) -> Way:
    """What the `connection` of a spec comes to."""
    connection = loaded.spec.connection
    tls = connection.tls
    given: dict[str, Any] = {
        "timeout": connection.timeout,
        "ca_file": str(loaded.resolve(tls.ca_file)) if tls and tls.ca_file else "",
        "server_name": (tls.server_name or "") if tls else "",
        **_token(loaded, connection.token),
    }
    if connection.uri is not None:
        return Way(uri=connection.uri, **given)
    if connection.embedded is not None:
        return Way(embedded=str(loaded.resolve(connection.embedded)), **given)
    return _deployed(loaded, given)


def provisioning_way(
    loaded: LoadedSpec, *, context: str | None = None, kubeconfig: str | None = None
) -> Way:
    """To the server from where it is provisioned: a port-forward to that of `deployment`, with the
    credential that was made for root; else what the `connection` comes to.

    A `uri` of the connection may lead through what is not there yet: balancers, names, users.
    """
    if loaded.spec.deployment is not None and loaded.spec.connection.kubernetes is None:
        loaded = forwarded(loaded, PortForward())
    return redirected(way_of(loaded), context, kubeconfig)


def forwarded(loaded: LoadedSpec, forward: PortForward) -> LoadedSpec:
    """The spec with a port-forward for its connection, and the token that was made for root. The
    name in a certificate that was given stays: it need not be the Service's."""
    before, deployment = loaded.spec.connection, loaded.spec.deployment
    given = deployment is not None and isinstance(deployment.security.tls, GivenTls)
    name = before.certificate_name if given else None
    inside = Connection(
        kubernetes=forward, timeout=before.timeout, tls=Tls(server_name=name) if name else None
    )
    spec = loaded.spec.model_copy(update={"connection": inside})
    return dataclasses.replace(loaded, spec=spec)


def redirected(way: Way, context: str | None, kubeconfig: str | None) -> Way:
    """The way through another context or kubeconfig, where one is named."""
    if way.forward is None:
        return way
    forward = dataclasses.replace(
        way.forward,
        context=context or way.forward.context,
        kubeconfig=kubeconfig or way.forward.kubeconfig,
    )
    return dataclasses.replace(way, forward=forward)


def _deployed(loaded: LoadedSpec, given: dict[str, Any]) -> Way:
    spec, port_forward = loaded.spec, loaded.spec.connection.kubernetes
    if port_forward is None or spec.deployment is None:
        raise ValueError("loading a spec makes sure that its connection leads somewhere")
    cluster, deployment = spec.cluster.name, spec.deployment
    service = f"{cluster}-milvus"
    forward = Forward(
        deployment.namespace,
        service,
        context=port_forward.context,
        kubeconfig=str(loaded.resolve(port_forward.kubeconfig))
        if port_forward.kubeconfig
        else None,
    )
    way = Way(forward=forward, **given)
    if spec.connection.token is None:
        way = dataclasses.replace(way, token_secret=SecretKey(f"{cluster}-root", TOKEN_KEY))
    tls = deployment.security.tls
    if tls is not None:
        secret = tls.secret if isinstance(tls, GivenTls) else f"{cluster}-tls"
        way = dataclasses.replace(
            way,
            tls=True,
            ca_secret=None if way.ca_file else SecretKey(secret, CA_KEY),
            server_name=way.server_name or f"{service}.{deployment.namespace}.svc",
        )
    return way


def _token(loaded: LoadedSpec, token: SecretRef | None) -> dict[str, str]:
    if token is None:
        return {}
    if token.env is not None:
        return {"token_env": token.env}
    return {"token_file": str(loaded.resolve(token.file or ""))}


def _filled(value: Any) -> dict[str, Any]:
    found = {}
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        if dataclasses.is_dataclass(part):
            found[field.name] = _filled(part)
        elif part not in (None, "", False):
            found[field.name] = part
    return found
