"""What an apply of the rendered manifests would change in a live cluster."""

from __future__ import annotations

from kitestring.model.infra import InfraSnapshot
from kitestring.observe.infra import observe_infra
from kitestring.spec.loaded import LoadedSpec


def diff_deployment(
    loaded: LoadedSpec, context: str | None = None, kubeconfig: str | None = None
) -> InfraSnapshot:
    """The deployment of a spec against the cluster, by server-side dry run.

    Raises:
        SpecInvalid: no manifests come from the spec.
        KubernetesError: the cluster can't be compared.
    """
    return observe_infra(loaded, context, kubeconfig, strict=True)


def exit_code(snapshot: InfraSnapshot) -> int:
    """0 the same, 2 it differs, 3 the same as far as could be seen."""
    if not snapshot.same:
        return 2
    return 3 if snapshot.unseen else 0
