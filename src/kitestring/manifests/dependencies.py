"""What Milvus stands on, as the spec says it: metadata store, object store, message log.

Where the spec leaves something out, the default is decided here, once, for all builders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from kitestring.manifests.labels import deployment_of, object_name
from kitestring.manifests.refuse import refuse
from kitestring.model.versions import MilvusVersion, default_message_log, message_logs
from kitestring.spec.deployment import Kafka, Pulsar, Rocksmq, Woodpecker
from kitestring.spec.models import Spec
from kitestring.spec.stores import S3Store

Log = Kafka | Pulsar | Rocksmq | Woodpecker
ETCD_PORT, MINIO_PORT, KAFKA_PORT = 2379, 9000, 9092
# where Azure and Google Cloud keep objects; AWS has an address for each region
_HOSTS = {"gcp": "storage.googleapis.com", "azure": "core.windows.net"}


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """Where Milvus keeps its segments.

    `keys` is the Secret with `access_key` and `secret_key`; None where a workload identity is
    used. `region` is empty where the store has none.
    """

    host: str
    port: int
    tls: bool
    bucket: str
    root: str
    region: str
    provider: Literal["aws", "gcp", "azure"]
    keys: str | None


def version_of(spec: Spec) -> MilvusVersion:
    """The version of Milvus that is provisioned."""
    return MilvusVersion.parse(deployment_of(spec).version)


def message_log(spec: Spec) -> Log:
    """The message log: the spec's, or the version's own.

    Raises:
        SpecInvalid: this version has no such log in this mode.
    """
    deployment, version = deployment_of(spec), version_of(spec)
    log = deployment.message_log
    if log is None:
        name = default_message_log(version, deployment.mode)
        makers = {"kafka": Kafka, "rocksmq": Rocksmq, "woodpecker": Woodpecker}
        return makers[name](type=name)  # type: ignore[no-any-return]
    allowed = message_logs(version, deployment.mode)
    if log.type not in allowed:
        raise refuse(
            ("deployment", "message_log", "type"),
            f"Milvus {version} as {deployment.mode} has no `{log.type}`: "
            f"it can use {', '.join(allowed)}",
        )
    return log


def etcd_endpoints(spec: Spec) -> tuple[str, ...]:
    """`host:port` of each member of the metadata store: a client goes over to another by itself."""
    etcd, name = deployment_of(spec).etcd, object_name(spec, "etcd")
    made = (f"{name}-{i}.{name}:{ETCD_PORT}" for i in range(etcd.replicas))
    return tuple(etcd.endpoints or made)


def bundled(spec: Spec) -> tuple[Literal["etcd", "minio", "kafka"], ...]:
    """Which of the dependencies are provisioned beside Milvus."""
    deployment, log = deployment_of(spec), message_log(spec)
    made: list[Literal["etcd", "minio", "kafka"]] = []
    if not deployment.etcd.endpoints:
        made.append("etcd")
    if deployment.minio is not None:
        made.append("minio")
    if isinstance(log, Kafka) and not log.brokers:
        made.append("kafka")
    return tuple(made)


def object_store(spec: Spec) -> ObjectStore:
    """Where Milvus keeps its segments: the bundled MinIO, or the S3 named in `storage`.

    Raises:
        SpecInvalid: neither is named, or Milvus would have neither keys nor an identity.
    """
    deployment = deployment_of(spec)
    named = spec.storage if isinstance(spec.storage, S3Store) else None
    if deployment.minio is not None:
        return ObjectStore(
            host=object_name(spec, "minio"),
            port=MINIO_PORT,
            tls=False,
            bucket=named.bucket if named else "milvus",
            root=named.prefix if named else "files",
            region=(named.region if named else None) or "",
            provider="aws",
            keys=object_name(spec, "minio"),
        )
    if named is None:
        raise refuse(
            ("deployment", "minio"),
            "Milvus has nowhere to keep its segments: name a bucket in `storage` "
            "(`type: s3`), or write `minio: {}` to have MinIO made",
        )
    if deployment.identity is None and named.access_key is None:
        raise refuse(
            ("storage",),
            "Milvus has no way into the bucket: name `access_key` and `secret_key` here, or "
            "`deployment.identity`",
        )
    provider = deployment.identity.provider if deployment.identity else "aws"
    host, port, tls = _address(named, provider)
    return ObjectStore(
        host=host,
        port=port,
        tls=tls,
        bucket=named.bucket,
        root=named.prefix,
        region=named.region or "",
        provider=provider,
        keys=None if deployment.identity else object_name(spec, "storage"),
    )


def _address(store: S3Store, provider: str) -> tuple[str, int, bool]:
    if store.endpoint_url is None:
        region = f".{store.region}" if store.region else ""
        return _HOSTS.get(provider, f"s3{region}.amazonaws.com"), 443, True
    url = urlsplit(store.endpoint_url)  # `crosscheck` has looked at it
    tls, port = url.scheme == "https", url.port
    if not url.hostname:
        raise refuse(("storage", "endpoint_url"), f"`{store.endpoint_url}` has no host")
    return url.hostname, port or (443 if tls else 80), tls
