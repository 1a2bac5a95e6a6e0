"""Volume claims of StatefulSets, as templates and as objects of their own.

A StatefulSet's claim templates can't be changed once it is there, so every claim is also a
manifest: a larger size in the spec then grows the claim in place, where its class allows it.
"""

from __future__ import annotations

from typing import Any

from kitestring.manifests.base import Manifest, SpecPath
from kitestring.manifests.labels import deployment_of, metadata, object_name, selector
from kitestring.spec.deployment import Deployment, Volume
from kitestring.spec.models import Spec

DATA = "data"
TEMPLATES_PATH = "spec.volumeClaimTemplates"
"""What a StatefulSet's manifest ignores after creation."""

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""A claim may wait for its first pod to be bound; who applies it must not wait for that."""

RETENTION = {"whenDeleted": "Retain", "whenScaled": "Retain"}
"""Also where volumes are not kept: a StatefulSet that is replaced must not take its data along.

The claims are objects of their own, so `pulumi destroy` removes them where the spec says so.
"""


def claim_spec(deployment: Deployment, volume: Volume | None, default: str) -> dict[str, Any]:
    """A claim's spec; the class is the volume's, else the deployment's, else the default one."""
    storage_class = volume.storage_class if volume else None
    storage_class = storage_class or deployment.storage_class
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": volume.size if volume else default}},
    }
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return spec


def template(
    spec: Spec, app: str, component: str, volume: Volume | None, default: str
) -> dict[str, Any]:
    """The claim template `data` of a component's StatefulSet."""
    return {
        "metadata": {"name": DATA, "labels": selector(spec, app, component)},
        "spec": claim_spec(deployment_of(spec), volume, default),
    }


def claim_name(spec: Spec, component: str, ordinal: int) -> str:
    """What the StatefulSet controller calls the claim of a pod: `data-N-etcd-0`."""
    return f"{DATA}-{object_name(spec, component)}-{ordinal}"


def claims(
    spec: Spec,
    app: str,
    component: str,
    *,
    replicas: int,
    volume: Volume | None,
    default: str,
    spec_path: SpecPath = (),
) -> tuple[Manifest, ...]:
    """The claims of a component's pods, each a manifest that outlives `pulumi destroy`."""
    deployment = deployment_of(spec)
    return tuple(
        Manifest(
            component,
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": metadata(
                    spec,
                    app,
                    component,
                    name=claim_name(spec, component, ordinal),
                    annotations=SKIP_AWAIT,
                ),
                "spec": claim_spec(deployment, volume, default),
            },
            after=("namespace",),
            keep=deployment.keep_volumes,
            spec_path=(*spec_path, "volume") if volume else spec_path,
        )
        for ordinal in range(replicas)
    )
