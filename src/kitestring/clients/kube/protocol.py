"""What Kitestring asks of a Kubernetes cluster. Objects are plain dicts, as the API writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

FIELD_MANAGER = "kitestring"
"""Who the API server is told owns the fields that Kitestring applies."""

Object = dict[str, Any]
Objects = list[Object]


class Kube(Protocol):
    """A cluster. Every call may raise KubernetesUnreachable, KubernetesDenied, KubernetesError."""

    @property
    def target(self) -> str:
        """How a message names the cluster: the context and the kubeconfig file."""
        ...

    def version(self) -> tuple[int, int]:
        """Major and minor version of the API server."""
        ...

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Object | None:
        """The object, or None where there is none (or no such kind) in the cluster."""
        ...

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> Objects:
        """The objects of a kind; `labels` is a selector such as `app=x,tier=y`. Empty where the
        cluster has no such kind."""
        ...

    def apply_dry_run(
        self, manifest: Mapping[str, Any], field_manager: str = FIELD_MANAGER
    ) -> Object:
        """The object as it would be after `apply`; nothing is stored.

        Raises:
            ManifestRejected: the API server does not accept it.
        """
        ...

    def apply(self, manifest: Mapping[str, Any], field_manager: str = FIELD_MANAGER) -> Object:
        """Server-side apply, taking fields over from whoever owns them.

        Raises:
            ManifestRejected: the API server does not accept it.
        """
        ...

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None,
        patch: Mapping[str, Any],
        field_manager: str = FIELD_MANAGER,
    ) -> Object:
        """A JSON merge patch.

        Raises:
            ManifestRejected: the API server does not accept it.
            KubernetesError: there is no such object.
        """
        ...

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> bool:
        """Deletes the object and, in the background, what it owns; False where there was none."""
        ...

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        """The decoded values of a Secret, or None where there is none."""
        ...

    def storage_classes(self) -> Objects:
        """All StorageClass objects."""
        ...

    def nodes(self) -> Objects:
        """All Node objects."""
        ...
