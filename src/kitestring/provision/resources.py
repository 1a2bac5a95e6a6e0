"""A manifest as the Kubernetes provider's resource of its kind.

Resources are registered by their type token, not by the classes of `pulumi_kubernetes`: those say
nothing about a manifest that the API server does not say better, and importing them takes 2.5 s of
every preview.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from kitestring.manifests.base import Manifest


def token(api_version: str, kind: str) -> str:
    """The provider's name of a kind: `kubernetes:apps/v1:Deployment`."""
    group_version = api_version if "/" in api_version else f"core/{api_version}"
    return f"kubernetes:{group_version}:{kind}"


class KubernetesObject(pulumi.CustomResource):
    """One object of a cluster; its properties are those of the manifest, camelCase as they are."""

    def __init__(
        self,
        name: str,
        body: Mapping[str, Any],
        opts: pulumi.ResourceOptions,
        *,
        ignore: tuple[str, ...] = (),
        keep: bool = False,
    ) -> None:
        """
        Args:
            ignore: paths of fields that somebody else owns after creation.
            keep: the stack protects it, and it stays in the cluster when the stack is gone.
        """
        secret = ["data", "stringData"] if body["kind"] == "Secret" else None
        own = pulumi.ResourceOptions(
            ignore_changes=list(ignore) or None,
            protect=keep or None,
            retain_on_delete=keep or None,
            additional_secret_outputs=secret,
        )
        super().__init__(
            token(body["apiVersion"], body["kind"]),
            name,
            dict(body),
            pulumi.ResourceOptions.merge(opts, own),
        )


def declare(
    name: str, manifest: Manifest, opts: pulumi.ResourceOptions, *, keep: bool = False
) -> KubernetesObject:
    """The resource of a manifest (`keep`: see `KubernetesObject`)."""
    return KubernetesObject(name, manifest.body, opts, ignore=manifest.ignore, keep=keep)
