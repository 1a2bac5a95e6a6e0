"""`deployment.config`: which settings of milvus.yaml a spec may pass on. All rules are here.

Milvus compares names without case, `.`, `_` and `/`: so are they compared here, or
`common_security.AuthorizationEnabled` would slip through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.spec.plain import mapping
from kitestring.spec.problems import Problem

EXAMPLE = "as in milvus.yaml, such as `dataCoord.segment.maxSize`"
_DOTTED = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)+")
_PORT = re.compile(
    r"(proxy|rootcoord|querycoord|datacoord|mixcoord|indexcoord|querynode|datanode|indexnode"
    r"|streamingnode)(http|internal)?port"
)
_SECRETS = (
    "password",
    "accesskeyid",
    "secretaccesskey",
    "secretkey",
    "authparams",
    "saslusername",
    "credentialjson",
    "apikey",
    "token",
)
_LOG = "`deployment.message_log` says it"
_ETCD = "`deployment.etcd` says it"
_STORE = "`storage`, `deployment.minio` and `deployment.identity` say it"
_TLS = "`deployment.security.tls` says it"
_STANDBY = "`deployment.roles.coordinator.replicas` says it"

_SAID: Mapping[str, str] = {
    "mq.type": _LOG,
    "messageQueue": _LOG,
    "kafka.brokerList": _LOG,
    "pulsar.address": _LOG,
    "pulsar.port": _LOG,
    "rocksmq.path": _LOG,
    "etcd.endpoints": _ETCD,
    "etcd.rootPath": _ETCD,
    "etcd.use.embed": _ETCD,
    "metastore.type": _ETCD,
    "minio.address": _STORE,
    "minio.port": _STORE,
    "minio.bucketName": _STORE,
    "minio.rootPath": _STORE,
    "minio.useSSL": _STORE,
    "minio.useIAM": _STORE,
    "minio.cloudProvider": _STORE,
    "minio.region": _STORE,
    "common.storageType": _STORE,
    "common.gracefulStopTimeout": "`termination_grace` of the role says it",
    "common.security.authorizationEnabled": "authentication is always on",
    "common.security.superUsers": "a super user passes every grant, `access` says who may what",
    "common.security.tlsMode": _TLS,
    "tls.serverPemPath": _TLS,
    "tls.serverKeyPath": _TLS,
    "tls.caPemPath": _TLS,
    "rootCoord.enableActiveStandby": _STANDBY,
    "dataCoord.enableActiveStandby": _STANDBY,
    "queryCoord.enableActiveStandby": _STANDBY,
    "indexCoord.enableActiveStandby": _STANDBY,
    "mixCoord.enableActiveStandby": _STANDBY,
}
"""Settings that the spec decides elsewhere, and where."""


def normal(key: str) -> str:
    """A setting's name as Milvus compares it."""
    return re.sub(r"[._/]", "", key).lower()


_BY_NORMAL = {normal(key): said for key, said in _SAID.items()}


def why_not(key: str) -> str:
    """Why a spec may not pass a setting on; empty where it may."""
    name = normal(key)
    if name in _BY_NORMAL:
        return f"{_BY_NORMAL[name]}: remove it here"
    if name.endswith(_SECRETS):
        return "secrets never stand in a spec: remove it"
    if _PORT.fullmatch(name):
        return "ports are fixed, Services and network policies name them: remove it here"
    return "" if _DOTTED.fullmatch(key) else f"not a setting: write it {EXAMPLE}"


def check_config(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Settings that contradict the spec, that hold a secret, or that are no settings."""
    config = mapping(mapping(data.get("deployment")).get("config"))
    seen: dict[str, str] = {}
    for key in config:
        here, name = ("deployment", "config", key), normal(key)
        if reason := why_not(key):
            yield Problem(here, reason)
        elif name in seen:
            yield Problem(here, f"the same setting as `{seen[name]}`")
        seen.setdefault(name, key)
