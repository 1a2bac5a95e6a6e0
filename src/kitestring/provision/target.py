"""Which Kubernetes cluster a stack provisions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitestring.clients.milvus.way import Way, forwarded, way_of
from kitestring.errors import UsageError
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import PortForward

if TYPE_CHECKING:
    import pulumi


@dataclass(frozen=True, slots=True)
class Target:
    """A context of a kubeconfig. None: the current context; KUBECONFIG or the default file."""

    context: str | None = None
    kubeconfig: str | None = None

    def plain(self) -> dict[str, str]:
        """Without what is not said."""
        both = {"context": self.context, "kubeconfig": self.kubeconfig}
        return {key: value for key, value in both.items() if value}


def target_of(loaded: LoadedSpec, *, context: str = "", kubeconfig: str = "") -> Target:
    """The stack's own setting, or else that of the spec's port-forward."""
    forward = loaded.spec.connection.kubernetes
    named = forward.kubeconfig if forward else None
    return Target(
        context or (forward.context if forward else None),
        kubeconfig or (str(loaded.resolve(named)) if named else None),
    )


def kubernetes_provider(name: str, target: Target) -> pulumi.ProviderResource:
    """The provider of every Kubernetes resource of a stack.

    `upsert_existing_objects`: volumes, namespace and Secrets outlive `pulumi destroy`, and the next
    `pulumi up` takes them over. `enable_patch_force`: what somebody changed by hand is put back.
    `cluster_identifier`: another path or context of the same cluster replaces nothing.
    """
    import inspect

    from pulumi_kubernetes import Provider, ProviderArgs

    wanted: dict[str, Any] = {
        "cluster_identifier": name,
        "upsert_existing_objects": True,
        "enable_patch_force": True,
        **target.plain(),
    }
    # older releases of the SDK take over what is there without being asked
    known = inspect.signature(ProviderArgs.__init__).parameters
    args = ProviderArgs(**{key: value for key, value in wanted.items() if key in known})
    return Provider(f"{name}-kubernetes", args)


def root_way(loaded: LoadedSpec, target: Target) -> Way:
    """A port-forward to the proxy of the deployment, without a token.

    Raises:
        UsageError: the spec has no deployment.
    """
    if loaded.spec.deployment is None:
        raise UsageError(f"{loaded.file} has no `deployment`: nothing has been provisioned by it")
    forward = PortForward(context=target.context, kubeconfig=target.kubeconfig)
    return dataclasses.replace(way_of(forwarded(loaded, forward)), token_secret=None)
