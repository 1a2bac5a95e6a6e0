"""A resource as the rules see it: its type and properties, from the engine or from a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kitestring.manifests.base import Manifest
from kitestring.spec.plain import items, mapping, text

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
_PODS = WORKLOADS | {"Job", "CronJob", "Pod"}


class Unknown:
    """A value that the engine does not know yet, at preview.

    Rules pass over it: the engine asks again, with the value, before the resource is made.
    """

    def __repr__(self) -> str:
        return "<not known yet>"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. `kind` is empty for what is no Kubernetes object."""

    type: str  # kubernetes:apps/v1:Deployment
    name: str  # the object's name, or the resource's
    props: Mapping[str, Any]
    protected: bool = False
    urn: str = ""

    @property
    def kind(self) -> str:
        return self.type.rpartition(":")[2] if self.type.startswith("kubernetes:") else ""

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.kind or self.type} `{self.name}`"

    @property
    def namespace(self) -> str:
        return text(mapping(self.props.get("metadata")).get("namespace"))

    @property
    def spec(self) -> Mapping[str, Any]:
        return mapping(self.props.get("spec"))

    @property
    def pod_template(self) -> Mapping[str, Any]:
        """`metadata` and `spec` of the pods that it makes; empty where it makes none."""
        if self.kind not in _PODS:
            return {}
        if self.kind == "Pod":
            return self.props
        spec = self.spec
        if self.kind == "CronJob":
            spec = mapping(mapping(spec.get("jobTemplate")).get("spec"))
        return mapping(spec.get("template"))

    @property
    def pod_labels(self) -> Mapping[str, Any]:
        return mapping(mapping(self.pod_template.get("metadata")).get("labels"))

    @property
    def containers(self) -> Iterator[Mapping[str, Any]]:
        """Containers of its pods, those of the start included."""
        pod = mapping(self.pod_template.get("spec"))
        for part in ("initContainers", "containers"):
            for container in items(pod.get(part)):
                yield mapping(container)


def of_manifest(manifest: Manifest) -> Resource:
    """A rendered manifest as the resource that Pulumi makes of it."""
    version = (
        manifest.api_version if "/" in manifest.api_version else f"core/{manifest.api_version}"
    )
    return Resource(
        f"kubernetes:{version}:{manifest.kind}", manifest.name, manifest.body, manifest.keep
    )


def selects(selector: Any, labels: Mapping[str, Any]) -> bool:
    """Whether a Kubernetes label selector picks a pod of these labels; an empty one picks all."""
    chosen = mapping(selector)
    if any(labels.get(key) != value for key, value in mapping(chosen.get("matchLabels")).items()):
        return False
    return all(_holds(mapping(e), labels) for e in items(chosen.get("matchExpressions")))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, operator = text(expression.get("key")), text(expression.get("operator"))
    values = items(expression.get("values"))
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return (key in labels) == (operator == "Exists")
