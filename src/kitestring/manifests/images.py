"""Every image of a deployment, with the registry that the spec asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kitestring.manifests.labels import deployment_of
from kitestring.model.versions import MilvusVersion, roles
from kitestring.spec.models import Spec

Software = Literal["milvus", "etcd", "minio", "kafka", "kitestring"]

# what the end-to-end tests run, or what Milvus' own chart pairs with these versions of it
TESTED: Mapping[str, str] = {
    "etcd": "quay.io/coreos/etcd:v3.5.18",
    "minio": "quay.io/minio/minio:RELEASE.2024-12-18T13-15-44Z",
    "kafka": "docker.io/apache/kafka:3.9.1",
}
DEFAULT_REGISTRY = "docker.io"


@dataclass(frozen=True, slots=True)
class ImageUse:
    """An image, and the component (see `Manifest.component`) whose pods run it."""

    component: str
    image: str


def image(spec: Spec, software: Software) -> str:
    """The image of one piece of software, as its pods name it.

    Raises:
        ValueError: it is `kitestring`, and the spec names no image for it.
    """
    deployment = deployment_of(spec)
    given: str | None = getattr(deployment.images, software)
    if given is None:
        if software == "kitestring":
            raise ValueError("the spec names no image for the day-2 jobs")
        given = (
            f"docker.io/milvusdb/milvus:v{deployment.version}"
            if software == "milvus"
            else TESTED[software]
        )
    return with_registry(given, deployment.images.registry)


def with_registry(name: str, registry: str | None) -> str:
    """An image with its registry replaced; path, tag and digest stay as they are.

    A first part with a dot or a colon, or `localhost`, is a registry; `milvusdb/milvus` has none
    and means Docker Hub's.
    """
    if registry is None:
        return name
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return f"{registry}/{rest}"
    return f"{registry}/{name}" if slash else f"{registry}/library/{name}"


def images(spec: Spec) -> tuple[ImageUse, ...]:
    """The image of each component that is provisioned, in the order of `build`."""
    from kitestring.manifests.dependencies import bundled

    deployment = deployment_of(spec)
    of_milvus = roles(MilvusVersion.parse(deployment.version), deployment.mode)
    uses = [ImageUse(name, image(spec, name)) for name in bundled(spec)]
    uses += [ImageUse(role, image(spec, "milvus")) for role in of_milvus]
    if deployment.images.kitestring is not None:
        uses.append(ImageUse("jobs", image(spec, "kitestring")))
    return tuple(uses)
