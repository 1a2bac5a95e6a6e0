"""Names and labels of everything that a deployment is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.manifests.base import COMPONENT_LABEL, INSTANCE_LABEL, MANAGED_BY
from kitestring.manifests.refuse import refuse
from kitestring.spec.deployment import Deployment
from kitestring.spec.models import Spec

NAME_LABEL = "app.kubernetes.io/name"
VERSION_LABEL = "app.kubernetes.io/version"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"


def deployment_of(spec: Spec) -> Deployment:
    """The spec's deployment.

    Raises:
        SpecInvalid: it has none.
    """
    if spec.deployment is None:
        raise refuse(
            ("deployment",),
            "the spec has none: there is nothing to provision",
            hint="infra/clusters/dev.yaml shows a small one",
        )
    return spec.deployment


def object_name(spec: Spec, component: str) -> str:
    """`N-query-node` for the component `query_node` of the cluster N."""
    return f"{spec.cluster.name}-{component.replace('_', '-')}"


def selector(spec: Spec, app: str, component: str) -> dict[str, str]:
    """Labels that pick the pods of one component; they never change over its life."""
    return {
        NAME_LABEL: app,
        INSTANCE_LABEL: spec.cluster.name,
        COMPONENT_LABEL: component.replace("_", "-"),
    }


def labels(spec: Spec, app: str, component: str, version: str | None = None) -> dict[str, str]:
    """The selector's labels, who manages the object, and the software's version where known."""
    known = {VERSION_LABEL: version} if version else {}
    return {**selector(spec, app, component), MANAGED_BY_LABEL: MANAGED_BY, **known}


def metadata(
    spec: Spec,
    app: str,
    component: str,
    *,
    name: str | None = None,
    version: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Metadata of a namespaced object; its name is the component's where none is given."""
    made: dict[str, Any] = {
        "name": name or object_name(spec, component),
        "namespace": deployment_of(spec).namespace,
        "labels": labels(spec, app, component, version),
    }
    if annotations:
        made["annotations"] = dict(annotations)
    return made
