"""Where the server's metrics are, and how much memory a query node has."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kitestring.spec.types import URI, Model, Quantity, SecretRef

MetricsUrl = Annotated[str, Field(pattern=URI)]


class Metrics(Model):
    """Metrics of the query nodes, for the `capacity` checks.

    Without `endpoints` and `prometheus`, those of the embedded server are read.
    """

    endpoints: list[MetricsUrl] = Field(
        [], description="of each query node, or the standalone server: `http://HOST:9091/metrics`"
    )
    prometheus: str | None = Field(
        None, pattern=URI, description="a Prometheus that scrapes all query nodes"
    )
    select: str = Field(
        "", description='labels of this cluster in Prometheus, such as `namespace="milvus"`'
    )
    token: SecretRef | None = Field(None, description="bearer token of Prometheus")
    node_memory: Quantity | None = Field(
        None, description="memory of a query node; omit for that of `deployment`"
    )
