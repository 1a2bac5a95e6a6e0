"""What the builders of manifests hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kitestring.spec.types import SecretRef

MANAGED_BY = "kitestring"
COMPONENT_LABEL = "app.kubernetes.io/component"
INSTANCE_LABEL = "app.kubernetes.io/instance"
SECRETS_ANNOTATION = "kitestring/secrets"
"""On pods: how often the Secrets that they read were given other values. A Pulumi stack counts."""

SpecPath = tuple[str | int, ...]
"""Keys and positions that lead to a value in the spec, such as `("deployment", "etcd")`."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object, and how it is to be treated."""

    component: str  # namespace, config, etcd, minio, kafka, coordinator, query_node, network, …
    body: Mapping[str, Any]  # the whole object, camelCase keys, plain lists and dicts
    after: tuple[str, ...] = ()  # components that have to be ready before it is made
    keep: bool = False  # holds data: protected, and outlives `pulumi destroy`
    # dotted paths of fields that somebody else owns after creation, such as `spec.replicas`
    ignore: tuple[str, ...] = ()
    spec_path: SpecPath = ()  # what in the spec it comes from

    @property
    def api_version(self) -> str:
        return str(self.body["apiVersion"])

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        namespace = self.body["metadata"].get("namespace")
        return None if namespace is None else str(namespace)

    @property
    def key(self) -> str:
        """`Kind/namespace/name`, unique in a bundle."""
        return f"{self.kind}/{self.namespace or ''}/{self.name}"


@dataclass(frozen=True, slots=True)
class CertificatePlan:
    """A self-made authority and a server certificate for these names."""

    hosts: tuple[str, ...]
    days: int = 825


@dataclass(frozen=True, slots=True)
class SecretPlan:
    """A Secret whose values are made or read when it is applied, never while rendering.

    `entries` are templates over `random` and `refs`: with `random={"password": 32}`,
    `{"username": "root", "token": "root:{password}"}` gives a token of 32 random characters.
    A Secret that is already in the cluster keeps its values: they are what the data knows.
    """

    component: str
    name: str
    namespace: str
    entries: Mapping[str, str] = field(default_factory=dict)
    random: Mapping[str, int] = field(default_factory=dict)  # placeholder -> length
    refs: Mapping[str, SecretRef] = field(default_factory=dict)  # placeholder -> where it is
    certificate: CertificatePlan | None = None  # gives ca.crt, ca.key, tls.crt and tls.key
    labels: Mapping[str, str] = field(default_factory=dict)
    type: str = "Opaque"
    keep: bool = True
    grows: bool = False  # keys may be added to a Secret that is there, such as one more user's
    spec_path: SpecPath = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that a deployment is made of, in an order in which it can be applied."""

    manifests: tuple[Manifest, ...]
    secrets: tuple[SecretPlan, ...] = ()

    def of(self, component: str) -> tuple[Manifest, ...]:
        """The manifests of one component."""
        return tuple(m for m in self.manifests if m.component == component)

    @property
    def components(self) -> tuple[str, ...]:
        """In the order of their first manifest."""
        return tuple(dict.fromkeys(m.component for m in self.manifests))
