"""What decides whether a live deployment can become another, read off its manifests.

The same reading serves what is live and what is wanted: both are Kubernetes objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from kitestring.clients.kube.protocol import Kube, Object
from kitestring.manifests.base import COMPONENT_LABEL, INSTANCE_LABEL
from kitestring.model.quantity import parse_bytes
from kitestring.model.transition import DeployedFacts, VolumeFacts
from kitestring.model.versions import MilvusVersion

VERSION_LABEL = "app.kubernetes.io/version"
_KINDS = (
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "Deployment"),
)


def live_objects(kube: Kube, namespace: str, instance: str) -> list[Object]:
    """The live objects that `facts_of` reads; empty where nothing is deployed.

    Raises:
        KubernetesError: they can't be read.
    """
    labels = f"{INSTANCE_LABEL}={instance}"
    return [one for kind in _KINDS for one in kube.list(*kind, namespace, labels=labels)]


def facts_of(objects: Iterable[Mapping[str, Any]], instance: str) -> DeployedFacts:
    """The facts of a deployment; what the objects do not tell is None.

    Args:
        instance: the cluster's name, which the objects are named after.
    """
    by_name = {(str(o["kind"]), str(o["metadata"]["name"])): o for o in objects}
    config = by_name.get(("ConfigMap", f"{instance}-config"))
    settings = _settings(config)
    if config is None or not settings:
        # volumes outlive a deployment: a new one has to fit them
        return DeployedFacts(volumes=_volumes(by_name))
    log = _text(settings, "mq", "type")
    etcd, minio, kafka = (_replicas(by_name, instance, one) for one in ("etcd", "minio", "kafka"))
    return DeployedFacts(
        version=_version(config),
        mode="standalone" if ("StatefulSet", f"{instance}-standalone") in by_name else "cluster",
        message_log=log,
        etcd_members=etcd,
        etcd_root_path=_text(settings, "etcd", "rootPath"),
        etcd_endpoints=_listed(settings, "etcd", "endpoints") if etcd is None else (),
        bucket=_text(settings, "minio", "bucketName"),
        prefix=_text(settings, "minio", "rootPath"),
        storage_endpoint=None if minio is not None else _address(settings),
        minio_replicas=minio or 0,
        kafka_replicas=(kafka or 0) if log == "kafka" else None,
        kafka_brokers=_listed(settings, "kafka", "brokerList")
        if log == "kafka" and kafka is None
        else None,
        volumes=_volumes(by_name),
    )


def _settings(config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """`user.yaml` of the ConfigMap; empty where somebody broke it."""
    try:
        found = yaml.safe_load(((config or {}).get("data") or {}).get("user.yaml") or "")
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _version(config: Mapping[str, Any]) -> MilvusVersion | None:
    label = (config["metadata"].get("labels") or {}).get(VERSION_LABEL)
    try:
        return MilvusVersion.parse(str(label)) if label else None
    except ValueError:
        return None


def _text(settings: Mapping[str, Any], section: str, key: str) -> str | None:
    value = (settings.get(section) or {}).get(key)
    return None if value is None else str(value)


def _listed(settings: Mapping[str, Any], section: str, key: str) -> tuple[str, ...] | None:
    value = _text(settings, section, key)
    return None if value is None else tuple(sorted(part for part in value.split(",") if part))


def _address(settings: Mapping[str, Any]) -> str | None:
    host, port = _text(settings, "minio", "address"), _text(settings, "minio", "port")
    return None if host is None else f"{host}:{port}"


def _replicas(
    by_name: Mapping[tuple[str, str], Mapping[str, Any]], instance: str, component: str
) -> int | None:
    found = by_name.get(("StatefulSet", f"{instance}-{component}"))
    return None if found is None else int(found["spec"].get("replicas", 1))


def _volumes(by_name: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, VolumeFacts]:
    """The largest claim of each component."""
    found: dict[str, VolumeFacts] = {}
    for (kind, _), claim in by_name.items():
        if kind != "PersistentVolumeClaim":
            continue
        labels = claim["metadata"].get("labels") or {}
        component = str(labels.get(COMPONENT_LABEL, "")).replace("-", "_")
        size = parse_bytes(claim["spec"]["resources"]["requests"]["storage"])
        before = found.get(component)
        if component and (before is None or (before.size or 0) < size):
            found[component] = VolumeFacts(size, claim["spec"].get("storageClassName"))
    return found
