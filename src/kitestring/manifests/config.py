"""`user.yaml`: what Milvus is told beyond the defaults of its image. It never holds a secret.

Keys are those of Milvus' own `configs/milvus.yaml`. Credentials reach it by environment
(see `environment`), which wins over files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from kitestring.manifests.base import Manifest
from kitestring.manifests.dependencies import (
    KAFKA_PORT,
    etcd_endpoints,
    message_log,
    object_store,
    version_of,
)
from kitestring.manifests.failover import failover_settings
from kitestring.manifests.labels import deployment_of, metadata, object_name
from kitestring.manifests.overrides import apply_overrides
from kitestring.model.versions import Feature, Role, has
from kitestring.spec.deployment import Kafka, Pulsar, Rocksmq
from kitestring.spec.models import Spec

DATA_DIR = "/var/lib/milvus"
TLS_DIR = "/milvus/tls"
CONFIG_FILE = "user.yaml"
STANDALONE_STOP = 5  # seconds; nobody takes over what its query node holds, waiting is in vain
STOP_MARGIN = 15.0  # seconds between Milvus' own deadline and the kubelet's SIGKILL

GRACE: Mapping[Role, float] = {
    "standalone": 60.0,
    "proxy": 60.0,
    # it has nothing to drain, and 2.3's never ends by itself with a standby (seen): the sooner it
    # is killed, the sooner the other takes over
    "coordinator": 30.0,
    "query_node": 1800.0,  # its segments move to others one by one; 30 s would cut that off
    "data_node": 300.0,
    "index_node": 60.0,  # a build that is cut off is given to another node
    "streaming_node": 300.0,
}
"""Seconds that a pod may take to stop, where the spec says nothing."""
SECTIONS: Mapping[Role, str] = {
    "proxy": "proxy",
    "query_node": "queryNode",
    "data_node": "dataNode",
    "index_node": "indexNode",
    "streaming_node": "streamingNode",
}
"""The section of milvus.yaml that belongs to a role."""
# sections that a role passes over, so that changing them leaves its pods alone. Coordinators,
# streaming nodes and standalone read those of others too, and 2.6's data nodes build indexes
_FOREIGN: Mapping[Role, tuple[str, ...]] = {
    "proxy": ("queryNode", "dataNode", "indexNode"),
    "query_node": ("proxy", "dataNode", "indexNode"),
    "data_node": ("proxy", "queryNode"),
    "index_node": ("proxy", "queryNode", "dataNode"),
}


def grace(spec: Spec, role: Role) -> float:
    """Seconds that a pod of the role may take to stop."""
    return deployment_of(spec).role(role).termination_grace or GRACE[role]


def settings(spec: Spec) -> dict[str, Any]:
    """The settings of `user.yaml`, nested.

    Raises:
        SpecInvalid: `deployment.config` has a key that the spec decides elsewhere, or a secret.
    """
    name = spec.cluster.name
    store = object_store(spec)
    made: dict[str, Any] = {
        "etcd": {
            "endpoints": ",".join(etcd_endpoints(spec)),
            "rootPath": deployment_of(spec).etcd.root_path or name,
            "use": {"embed": False},
        },
        "metastore": {"type": "etcd"},
        "minio": {
            "address": store.host,
            "port": store.port,
            "useSSL": store.tls,
            "bucketName": store.bucket,
            "rootPath": store.root,
            "region": store.region,
            "useIAM": store.keys is None,
            "cloudProvider": store.provider,
        },
        "localStorage": {"path": f"{DATA_DIR}/data"},
        "log": {"file": {"rootPath": ""}, "stdout": True},  # the pod's file system is read-only
        # `common.` is the older name of `msgChannel.`; clusters that share a log need their own
        "msgChannel": {"chanNamePrefix": {"cluster": name}},
        "common": {
            "storageType": "remote",
            "chanNamePrefix": {"cluster": name},
            "security": {"authorizationEnabled": True, "tlsMode": 0},
        },
    }
    _message_log(spec, made)
    _tls(spec, made)
    _stopping(spec, made)
    _standby(spec, made)
    _disk(spec, made)
    return apply_overrides(made, deployment_of(spec).config)


def _message_log(spec: Spec, made: dict[str, Any]) -> None:
    log = message_log(spec)
    made["mq"] = {"type": log.type}
    if isinstance(log, Kafka):
        brokers = log.brokers or [f"{object_name(spec, 'kafka')}:{KAFKA_PORT}"]
        made["kafka"] = {"brokerList": ",".join(brokers)}
    elif isinstance(log, Pulsar):
        made["pulsar"] = {"address": log.address, "port": log.port}
        if log.secret is not None:
            made["pulsar"]["authPlugin"] = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
    elif isinstance(log, Rocksmq):
        made["rocksmq"] = {"path": f"{DATA_DIR}/rdb_data"}
    else:
        made["woodpecker"] = {"storage": {"type": "minio"}}


def _tls(spec: Spec, made: dict[str, Any]) -> None:
    if deployment_of(spec).security.tls is None:
        return
    made["common"]["security"]["tlsMode"] = 1  # the server shows a certificate, clients need none
    made["tls"] = {
        "serverPemPath": f"{TLS_DIR}/tls.crt",
        "serverKeyPath": f"{TLS_DIR}/tls.key",
    }


def _stopping(spec: Spec, made: dict[str, Any]) -> None:
    """How long a role may take to stop by itself: a little less than its pod may."""
    if deployment_of(spec).mode == "standalone":
        made["common"]["gracefulStopTimeout"] = STANDALONE_STOP
        return
    made["common"]["gracefulStopTimeout"] = int(min(GRACE.values()) - STOP_MARGIN)
    for role, section in SECTIONS.items():
        if role in ("query_node", "data_node", "streaming_node"):
            seconds = max(1, int(grace(spec, role) - STOP_MARGIN))
            made.setdefault(section, {})["gracefulStopTimeout"] = seconds


def _standby(spec: Spec, made: dict[str, Any]) -> None:
    """Two coordinators run as active and standby; without the setting they would fight."""
    if deployment_of(spec).mode == "standalone":
        return
    standby = deployment_of(spec).replicas("coordinator") > 1
    for section in ("rootCoord", "queryCoord", "dataCoord"):
        made.setdefault(section, {})["enableActiveStandby"] = standby
    if has(version_of(spec), Feature.STREAMING_NODE):  # the same version merged the coordinators
        made["mixCoord"] = {"enableActiveStandby": standby}


def _disk(spec: Spec, made: dict[str, Any]) -> None:
    """A disk is there for DISKANN: the nodes that build and load such indexes may use it."""
    deployment = deployment_of(spec)
    if deployment.role("query_node").disk or deployment.role("standalone").disk:
        made.setdefault("queryNode", {})["enableDisk"] = True
        made.setdefault("indexNode", {})["enableDisk"] = True


def text(spec: Spec) -> str:
    """The text of `user.yaml`; the same spec gives the same text."""
    return str(
        yaml.dump(settings(spec), Dumper=yaml.CSafeDumper, sort_keys=True, allow_unicode=True)
    )


def checksum(spec: Spec, role: Role) -> str:
    """Changes whenever a setting changes that pods of the role read, so that they roll then."""
    mine = json.dumps(_read_by(spec, role), sort_keys=True)
    return hashlib.sha256(mine.encode()).hexdigest()


def _read_by(spec: Spec, role: Role) -> dict[str, Any]:
    """The settings without the sections that the role passes over."""
    skipped = _FOREIGN.get(role, ())
    if role == "data_node" and not has(version_of(spec), Feature.STREAMING_NODE):
        skipped = (*skipped, "indexNode")
    return {key: value for key, value in settings(spec).items() if key not in skipped}


def _variables(settings: Mapping[str, Any], prefix: str = "") -> Iterator[dict[str, Any]]:
    """Settings as environment variables: `etcd.use.embed` is `ETCD_USE_EMBED`."""
    for key, value in sorted(settings.items()):
        name = f"{prefix}{key.upper()}"
        if isinstance(value, Mapping):
            yield from _variables(value, f"{name}_")
        elif isinstance(value, bool):
            yield {"name": name, "value": str(value).lower()}
        else:
            yield {"name": name, "value": str(value)}  # an empty one too: the image's may not be


def environment(spec: Spec, role: Role) -> list[dict[str, Any]]:
    """Environment variables of the role's container: credentials from Secrets, never values.

    Milvus takes a variable as the setting whose name is the same without `.` and `_`. A server
    that may not know `user.yaml` is told everything that way.
    """
    store, log = object_store(spec), message_log(spec)
    made: list[dict[str, Any]] = []
    if not has(version_of(spec), Feature.USER_YAML):
        made += _variables(_read_by(spec, role))
    for key, value in failover_settings(spec, role).items():
        made.append({"name": key.replace(".", "_").upper(), "value": value})
    if store.keys is not None:
        made += [
            _secret("MINIO_ACCESS_KEY_ID", store.keys, "access_key"),
            _secret("MINIO_SECRET_ACCESS_KEY", store.keys, "secret_key"),
        ]
    if isinstance(log, Kafka) and log.secret is not None:
        made += [
            _secret("KAFKA_SASLUSERNAME", log.secret, "username"),
            _secret("KAFKA_SASLPASSWORD", log.secret, "password"),
        ]
    if isinstance(log, Pulsar) and log.secret is not None:
        made.append(_secret("PULSAR_AUTHPARAMS", log.secret, "authParams"))
    version = version_of(spec)
    if role in ("coordinator", "standalone") and has(version, Feature.DEFAULT_ROOT_PASSWORD):
        # taken when the user `root` is made, on the first start; older versions: root-password
        made.append(
            _secret("COMMON_SECURITY_DEFAULTROOTPASSWORD", object_name(spec, "root"), "password")
        )
    if has(version, Feature.STREAMING_NODE):
        made.append({"name": "MILVUS_STREAMING_SERVICE_ENABLED", "value": "1"})
    return made


def _secret(variable: str, secret: str, key: str) -> dict[str, Any]:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def manifests(spec: Spec) -> tuple[Manifest, ...]:
    """The ConfigMap `N-config`."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(spec, "milvus", "config", version=deployment_of(spec).version),
        "data": {CONFIG_FILE: text(spec)},
    }
    return (Manifest("config", body, after=("namespace",), spec_path=("deployment", "config")),)
