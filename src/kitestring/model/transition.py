"""What stands against making a live cluster into the one that a spec describes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kitestring.model.versions import MilvusVersion, Mode, Refused, upgrade


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """A volume claim of a StatefulSet's pods. `size` in bytes; `None` where it is not known."""

    size: int | None = None
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class DeployedFacts:
    """What decides whether a live cluster can become another. `None` is not known, or not asked.

    The same class says what is live and what is wanted. `volumes` maps the component (`etcd`,
    `minio`, `kafka`, `standalone`, …) to the claim of each of its pods.
    """

    version: MilvusVersion | None = None
    mode: Mode | None = None
    message_log: str | None = None
    etcd_members: int | None = None  # bundled etcd
    etcd_root_path: str | None = None
    etcd_endpoints: tuple[str, ...] | None = None  # somebody else's etcd; empty for the bundled one
    bucket: str | None = None
    prefix: str | None = None
    storage_endpoint: str | None = None
    minio_replicas: int | None = None  # bundled MinIO; 0 for an S3 of somebody else's
    kafka_replicas: int | None = None  # bundled Kafka; 0 for somebody else's
    kafka_brokers: tuple[str, ...] | None = None
    volumes: Mapping[str, VolumeFacts] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change that a live cluster does not survive. `field` is the key below `deployment`."""

    code: str  # stable, such as `version`, `message-log`, `volume-shrinks`
    field: str
    message: str
    hint: str = ""


_BACK = "put it back, or provision another cluster and restore a backup into it"


def transition(live: DeployedFacts, wanted: DeployedFacts) -> list[Refusal]:
    """What stands against making the live cluster into the wanted one; empty when nothing does.

    A fact that one of the two does not know stands against nothing.
    """
    return [*_software(live, wanted), *_places(live, wanted), *_sizes(live, wanted)]


def _software(live: DeployedFacts, wanted: DeployedFacts) -> list[Refusal]:
    found = []
    if live.mode and wanted.mode and live.mode != wanted.mode:
        found.append(
            Refusal(
                "mode",
                "mode",
                f"the live deployment is a {live.mode}, the spec asks for a {wanted.mode}",
                "provision another cluster and restore a backup into it",
            )
        )
    elif live.version and wanted.version:
        path = upgrade(live.version, wanted.version, wanted.mode or live.mode or "cluster")
        if isinstance(path, Refused):
            found.append(Refusal("version", "version", path.reason, path.hint))
    if _differ(live.message_log, wanted.message_log):
        found.append(
            Refusal(
                "message-log",
                "message_log",
                f"the live cluster's message log is {live.message_log}, the spec asks for "
                f"{wanted.message_log}: Milvus can't change `mq.type`, what is not flushed would "
                "be lost",
                f"name it: `message_log: {{type: {live.message_log}}}`",
            )
        )
    return found


_FIXED: tuple[tuple[str, str, str, str], ...] = (
    ("etcd_root_path", "etcd-root-path", "etcd.root_path", "root path in etcd"),
    ("etcd_endpoints", "etcd-endpoints", "etcd.endpoints", "metadata store"),
    ("bucket", "bucket", "storage.bucket", "bucket"),
    ("prefix", "prefix", "storage.prefix", "prefix in the bucket"),
    ("storage_endpoint", "storage-endpoint", "storage.endpoint_url", "object storage"),
    ("kafka_brokers", "kafka-brokers", "message_log.brokers", "Kafka"),
)


def _places(live: DeployedFacts, wanted: DeployedFacts) -> list[Refusal]:
    """Where the data is found: elsewhere Milvus would start empty, or not at all."""
    found = []
    for attribute, code, key, name in _FIXED:
        old, new = getattr(live, attribute), getattr(wanted, attribute)
        if _differ(old, new):
            found.append(
                Refusal(
                    code,
                    key,
                    f"the live cluster's {name} is {_shown(old)}, the spec asks for {_shown(new)}: "
                    "Milvus would not find its data there",
                    _BACK,
                )
            )
    return found


_COUNTS: tuple[tuple[str, str, str, str], ...] = (
    ("etcd_members", "etcd.replicas", "members of etcd", "metadata store"),
    ("minio_replicas", "minio.replicas", "pods of MinIO", "object storage"),
    ("kafka_replicas", "message_log.replicas", "brokers of Kafka", "Kafka"),
)


def _sizes(live: DeployedFacts, wanted: DeployedFacts) -> list[Refusal]:
    """Counts of pods whose data is not moved to another number of them, and volumes."""
    found = []
    for attribute, key, name, whole in _COUNTS:
        old, new = getattr(live, attribute), getattr(wanted, attribute)
        if not _differ(old, new):
            continue
        if old and new:
            message = (
                f"the number of {name} can't change on a live cluster: it is {old}, the spec asks "
                f"for {new}, and the data is not moved"
            )
        else:
            one, other = ("the provisioned one", "another") if old else ("another", "a new one")
            message = (
                f"the live cluster's {whole} is {one}, the spec asks for {other}: Milvus would "
                "not find its data there"
            )
        found.append(Refusal(key.replace(".", "-").replace("_", "-"), key, message, _BACK))
    for component, volume in (wanted.volumes or {}).items():
        found += _volume(component, (live.volumes or {}).get(component), volume)
    return found


_VOLUME_KEYS = {
    "kafka": "message_log.volume",
    "standalone": "message_log.volume",
    "etcd": "etcd.volume",
    "minio": "minio.volume",
}


def _volume(component: str, live: VolumeFacts | None, wanted: VolumeFacts) -> list[Refusal]:
    if live is None:
        return []
    key = _VOLUME_KEYS.get(component, f"roles.{component}.disk")
    found = []
    if live.size is not None and wanted.size is not None and wanted.size < live.size:
        found.append(
            Refusal(
                "volume-shrinks",
                f"{key}.size",
                f"the volumes of {component} have {_bytes(live.size)}, the spec asks for "
                f"{_bytes(wanted.size)}: a volume can't shrink",
                "name the size that they have, or a larger one",
            )
        )
    if _differ(live.storage_class, wanted.storage_class):
        found.append(
            Refusal(
                "storage-class",
                f"{key}.storage_class",
                f"the volumes of {component} are of the storage class {live.storage_class}, the "
                f"spec asks for {wanted.storage_class}: a claim can't change its class",
                _BACK,
            )
        )
    return found


def _differ(old: object, new: object) -> bool:
    return old is not None and new is not None and old != new


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"`{', '.join(map(str, value))}`" if value else "the provisioned one"
    return f"`{value}`" if value else "empty"


def _bytes(size: int) -> str:
    for factor, unit in ((2**40, "Ti"), (2**30, "Gi"), (2**20, "Mi"), (2**10, "Ki")):
        if size >= factor:
            return f"{size / factor:g}{unit}"
    return str(size)
