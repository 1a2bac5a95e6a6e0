"""What a cluster is called, and how Milvus is reached."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from kitestring.spec.types import CLUSTER_NAME, URI, Duration, Model, Name, SecretRef, across


class Cluster(Model):
    """What the cluster is called, in findings, backups and metrics."""

    name: str = Field(pattern=CLUSTER_NAME, description="such as `prod-eu`")
    environment: Literal["dev", "test", "staging", "prod"] = Field(
        "dev", description="what the cluster is for"
    )


class Tls(Model):
    """TLS towards the server."""

    ca_file: str | None = Field(None, description="certificate authority, PEM")
    server_name: str | None = Field(
        None, description="name in the server's certificate, where it is not the URI's host"
    )


class PortForward(Model):
    """A port-forward to the proxy of `deployment`, opened for the time of a command."""

    context: str | None = Field(None, description="of the kubeconfig; omit for the current one")
    kubeconfig: str | None = Field(None, description="a file; omit for KUBECONFIG or the default")


class Connection(Model):
    """How to reach Milvus: a URI, an embedded server's directory, or a port-forward."""

    uri: str | None = Field(None, pattern=URI, description="such as http://host:19530")
    embedded: str | None = Field(
        None, description="data directory of a server that `kitestring local up` starts"
    )
    kubernetes: PortForward | None = Field(
        None, description="reach the proxy of `deployment` by a port-forward"
    )
    database: Name = Field("default", description="the database that the collections are in")
    token: SecretRef | None = Field(
        None,
        description="`user:password` or an API key; with `kubernetes`, omit for the root "
        "credential that the deployment made",
    )
    tls: Tls | None = Field(None, description="for an `https` URI with a CA of its own")
    timeout: Duration = Field(10.0, description="deadline of one request")

    @model_validator(mode="after")
    def _one(self) -> Connection:
        if sum(way is not None for way in (self.uri, self.embedded, self.kubernetes)) != 1:
            raise across("name one of `uri`, `embedded` and `kubernetes`")
        return self

    @property
    def certificate_name(self) -> str | None:
        """Whom the server's certificate is for, as far as this says; None: it does not."""
        if self.tls is not None and self.tls.server_name:
            return self.tls.server_name
        return urlsplit(self.uri).hostname if self.uri else None
