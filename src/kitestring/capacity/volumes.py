"""Volumes that hold data: object storage, metadata, the message log, disks of query nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from kitestring.capacity.needs import STORED_FACTOR
from kitestring.capacity.result import CollectionNeed, VolumeHint
from kitestring.model.quantity import parse_bytes
from kitestring.model.versions import MilvusVersion, Role, default_message_log
from kitestring.spec.deployment import Deployment, Kafka, Rocksmq, Volume
from kitestring.spec.models import Spec

FREE = 0.2  # share of a volume that stays free
LOG_MINIMUM = 8 * 2**30
"""`rocksmq.retentionSizeInMB` is 8192; Kafka's logs begin as large."""
ETCD_MINIMUM = 2 * 2**30
"""Milvus's keys in etcd are small; its quota is 4 GiB and its history is kept beside them."""


def volume_hints(spec: Spec, needs: Sequence[CollectionNeed]) -> list[VolumeHint]:
    """What volumes should have, for those that Kitestring makes."""
    deployment = spec.deployment
    return [] if deployment is None else list(_hints(deployment, needs))


def _hints(deployment: Deployment, needs: Sequence[CollectionNeed]) -> Iterator[VolumeHint]:
    stored = sum(n.stored or 0 for n in needs)
    if not deployment.etcd.endpoints:
        yield VolumeHint(
            "etcd",
            deployment.etcd.replicas,
            ETCD_MINIMUM,
            _size(deployment.etcd.volume, "10Gi"),
            "metadata and its history",
        )
    if deployment.minio is not None:
        pods = deployment.minio.replicas
        # erasure coding keeps half of the pods' space for parity
        each = stored * (1 if pods == 1 else 2) / pods / (1 - FREE)
        yield VolumeHint(
            "minio",
            pods,
            math.ceil(each),
            _size(deployment.minio.volume, "100Gi"),
            "segments, their indexes, and what compaction has replaced",
            firm=True,
        )
    yield from _log(deployment, stored)
    disk = sum(_on_node(n, deployment) for n in needs if n.disk)
    if disk:
        role: Role = "standalone" if deployment.mode == "standalone" else "query_node"
        volume = deployment.role(role).disk
        yield VolumeHint(
            role,
            deployment.replicas(role),
            math.ceil(disk / (1 - FREE)),
            _size(volume, None),
            "DISKANN indexes",
            firm=True,
        )


def _log(deployment: Deployment, stored: int) -> Iterator[VolumeHint]:
    """The log has to take everything once: a restore or a first ingestion writes it in a day."""
    version = MilvusVersion.parse(deployment.version)
    log = deployment.message_log
    kind = log.type if log else default_message_log(version, deployment.mode)
    if kind == "rocksmq":
        volume = log.volume if isinstance(log, Rocksmq) else None
        needed = max(LOG_MINIMUM, stored / STORED_FACTOR)
        yield VolumeHint(
            "standalone",
            1,
            math.ceil(needed),
            _size(volume, "50Gi"),
            "the log of every row written in the days that it is kept",
        )
    elif kind == "kafka" and not (isinstance(log, Kafka) and log.brokers):
        kafka = log if isinstance(log, Kafka) else Kafka(type="kafka")
        copies = min(3, kafka.replicas)
        needed = max(LOG_MINIMUM, stored / STORED_FACTOR * copies / kafka.replicas)
        yield VolumeHint(
            "kafka",
            kafka.replicas,
            math.ceil(needed),
            _size(kafka.volume, "50Gi"),
            "the log of every row written in the days that it is kept",
        )


def _on_node(need: CollectionNeed, deployment: Deployment) -> float:
    if not need.replicas:
        return 0.0
    nodes = 1 if deployment.mode == "standalone" else deployment.replicas("query_node")
    return (need.disk or 0) / max(1, nodes // need.replicas)


def _size(volume: Volume | None, default: str | None) -> int | None:
    text = volume.size if volume else default
    return None if text is None else parse_bytes(text)
