"""`deployment` and what it must agree with: its version, its mode, `storage`, the collections."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.model.quantity import TooLarge, parse_quantity
from kitestring.model.versions import (
    KNOWN_LINES,
    SCALABLE,
    MilvusVersion,
    Mode,
    default_message_log,
    message_logs,
    roles,
)
from kitestring.spec.deployment import RoleSpec
from kitestring.spec.loaded import KeyPath
from kitestring.spec.plain import items, mapping, number, text
from kitestring.spec.problems import Problem

_HERE: KeyPath = ("deployment",)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_HOST_PORT = re.compile(rf"{_HOST.pattern}:(?P<port>[0-9]{{1,5}})")


def check_deployment(data: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of a spec's `deployment` and of what depends on it."""
    if not isinstance(data.get("deployment"), Mapping):
        return
    raw = mapping(data["deployment"])
    yield from _storage(data, raw)
    if mapping(data.get("connection")).get("embedded") is not None:
        yield Problem(
            ("connection", "embedded"),
            "`deployment` is a Milvus on Kubernetes: reach it by `uri` or `kubernetes`",
        )
    yield from _addresses(raw)
    yield from _quantities(_HERE, raw)
    yield from _autoscale(raw)
    mode: Mode | None = raw["mode"] if raw.get("mode") in ("standalone", "cluster") else None
    version = deployed_version(data)
    if mode is None:
        return
    yield from _replicas(data, raw, mode)
    if text(raw.get("version")) and version is None:
        yield Problem((*_HERE, "version"), "this version is not known", raw["version"], KNOWN_LINES)
    if version is not None:
        yield from _roles(raw, version, mode)
        yield from _message_log(raw, version, mode)


def deployed_version(data: Mapping[str, Any]) -> MilvusVersion | None:
    """The version of `deployment`; None where there is none that is known."""
    try:
        version = MilvusVersion.parse(text(mapping(data.get("deployment")).get("version")))
    except ValueError:
        return None
    return version if version.known else None


def _storage(data: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Where Milvus keeps its segments: a bucket, of the bundled MinIO or of somebody else's S3."""
    storage = data.get("storage")
    bundled, identity = raw.get("minio") is not None, raw.get("identity") is not None
    if storage is None:
        yield Problem(
            _HERE,
            "`storage` is missing: it names the bucket in which Milvus keeps its segments, as "
            "`storage: {type: s3, bucket: …}`",
        )
        return
    storage = mapping(storage)
    kind = text(storage.get("type"))
    if kind in ("local", "embedded"):
        yield Problem(
            ("storage", "type"),
            "Milvus on Kubernetes keeps its segments in a bucket; for one of its own name "
            "`deployment.minio`",
            kind,
            "s3",
        )
    elif kind == "s3" and not bundled and not identity and storage.get("access_key") is None:
        yield Problem(
            ("storage",),
            "Milvus has no way into this bucket: name `access_key` and `secret_key`, or "
            "`deployment.identity`; `deployment.minio` makes an object storage",
        )
    if bundled and identity:
        yield Problem(
            (*_HERE, "identity"),
            "the MinIO of `minio` has keys of its own: an identity is for somebody else's S3; "
            "remove one of the two",
        )


def _roles(raw: Mapping[str, Any], version: MilvusVersion, mode: Mode) -> Iterator[Problem]:
    there = roles(version, mode)
    line = f"{version.major}.{version.minor}"
    for name, role in mapping(raw.get("roles")).items():
        here = (*_HERE, "roles", name)
        if role is None or name in there or name not in _NAMES:
            continue
        if mode == "standalone":
            message = (
                f"a standalone server has no {_NAMES[name]}: size it by `standalone`, or write "
                "`mode: cluster`"
            )
        elif name == "standalone":
            message = "a cluster has pods by role: remove it, or write `mode: standalone`"
        elif name == "index_node":
            message = (
                f"Milvus {line} has no index node, its data nodes build indexes: remove it and "
                "size `data_node`"
            )
        else:
            message = f"Milvus {line} has no {_NAMES[name]}, 2.6 is the first that has: remove it"
        yield Problem(here, message)


_NAMES: Mapping[str, str] = {
    "standalone": "standalone server",
    "proxy": "proxy",
    "coordinator": "coordinator",
    "query_node": "query node",
    "data_node": "data node",
    "index_node": "index node",
    "streaming_node": "streaming node",
}


def _message_log(raw: Mapping[str, Any], version: MilvusVersion, mode: Mode) -> Iterator[Problem]:
    log = text(mapping(raw.get("message_log")).get("type"))
    takes = message_logs(version, mode)
    if log not in ("rocksmq", "kafka", "pulsar", "woodpecker") or log in takes:
        return
    line = f"{version.major}.{version.minor}"
    message = f"a {mode} of Milvus {line} has no {log}"
    if log == "rocksmq":
        message += ": it is inside a standalone server"
    elif log == "woodpecker":
        message += ": 2.6 is the first that has"
    message += f"; without `message_log` it is {default_message_log(version, mode)}"
    yield Problem((*_HERE, "message_log", "type"), message, log, ", ".join(takes))


def _autoscale(raw: Mapping[str, Any]) -> Iterator[Problem]:
    for name, role in mapping(raw.get("roles")).items():
        role = mapping(role)
        here = (*_HERE, "roles", name, "autoscale")
        scale = role.get("autoscale")
        if not isinstance(scale, Mapping):
            continue
        if name not in SCALABLE:
            yield Problem(
                here,
                f"an autoscaler would break off the work of a {_NAMES.get(name, name)}: name "
                "`replicas`; proxies and query nodes can be scaled",
            )
            continue
        if role.get("replicas") is not None:
            yield Problem(
                here, "`replicas` says how many pods there are already: remove one of the two"
            )
        low, high = number(scale.get("minimum")), number(scale.get("maximum"))
        if low is not None and high is not None and low > high:
            yield Problem((*here, "minimum"), f"greater than `maximum` ({high})", low)
        if scale.get("cpu_percent") is None and scale.get("memory_percent") is None:
            yield Problem(
                here, "name `cpu_percent` or `memory_percent`: there is nothing to scale by"
            )


def _replicas(data: Mapping[str, Any], raw: Mapping[str, Any], mode: Mode) -> Iterator[Problem]:
    """Counts that a role can't have, and collections with more replicas than query nodes."""
    pods = mapping(raw.get("roles"))
    standalone = number(mapping(pods.get("standalone")).get("replicas"))
    if mode == "standalone" and standalone is not None and standalone > 1:
        yield Problem(
            (*_HERE, "roles", "standalone", "replicas"),
            "a standalone server is one pod; `mode: cluster` has replicas",
            standalone,
            "1",
        )
    coordinators = number(mapping(pods.get("coordinator")).get("replicas"))
    if mode == "cluster" and coordinators is not None and coordinators > 2:
        yield Problem(
            (*_HERE, "roles", "coordinator", "replicas"),
            "one coordinator works and one stands by: more do nothing",
            coordinators,
            "1, 2",
        )
    nodes = 1 if mode == "standalone" else _fewest(mapping(pods.get("query_node")))
    what = "a standalone server" if mode == "standalone" else "the deployment"
    for i, collection in enumerate(map(mapping, items(data.get("collections")))):
        load = mapping(collection.get("load"))
        wanted = number(load.get("replicas"))
        if wanted is not None and nodes is not None and wanted > nodes:
            yield Problem(
                ("collections", i, "load", "replicas"),
                f"each replica needs a query node of its own, and {what} has {nodes:g}",
                wanted,
                f"1 to {nodes:g}" if nodes > 1 else "1",
            )


def _fewest(query_node: Mapping[str, Any]) -> int | float | None:
    """The fewest query nodes there will be; None where it can't be told: a count that is wrong, or
    a misspelt key, has an error of its own."""
    scale = query_node.get("autoscale")
    if isinstance(scale, Mapping):
        return number(scale.get("minimum"))
    replicas = query_node.get("replicas")
    if replicas is None:
        return 1 if query_node.keys() <= RoleSpec.model_fields.keys() else None
    count = number(replicas)
    return count if count is not None and count >= 1 else None


def _addresses(raw: Mapping[str, Any]) -> Iterator[Problem]:
    etcd, log = mapping(raw.get("etcd")), mapping(raw.get("message_log"))
    for path, values in (
        ((*_HERE, "etcd", "endpoints"), etcd.get("endpoints")),
        ((*_HERE, "message_log", "brokers"), log.get("brokers")),
    ):
        for i, value in enumerate(items(values)):
            if isinstance(value, str) and not _is_address(value):
                yield Problem((*path, i), "not an address", value, "HOST:PORT")
    host = log.get("address")
    if log.get("type") == "pulsar" and isinstance(host, str) and not _HOST.fullmatch(host):
        here = (*_HERE, "message_log", "address")
        yield Problem(here, "not the name of a host", host, "HOST, with its port in `port`")
    if items(etcd.get("endpoints")):
        for key in ("volume", "resources", "replicas"):
            if etcd.get(key) is not None:
                yield Problem(
                    (*_HERE, "etcd", key),
                    "`endpoints` names an etcd that is there: nothing is made, remove it",
                )
    if items(log.get("brokers")):
        for key in ("volume", "resources", "replicas"):
            if log.get(key) is not None:
                yield Problem(
                    (*_HERE, "message_log", key),
                    "`brokers` names a Kafka that is there: nothing is made, remove it",
                )
    elif log.get("type") == "kafka" and log.get("secret") is not None:
        yield Problem(
            (*_HERE, "message_log", "secret"),
            "it is for a Kafka that is there: name its `brokers`, or remove it",
        )
    replicas = mapping(raw.get("minio")).get("replicas")
    if replicas in (2, 3):
        yield Problem(
            (*_HERE, "minio", "replicas"),
            "MinIO runs as one pod, or as 4 and more with erasure coding",
            replicas,
        )
    security = mapping(raw.get("security"))
    for i, cidr in enumerate(items(security.get("client_cidrs"))):
        if isinstance(cidr, str) and not _is_network(cidr):
            yield Problem(
                (*_HERE, "security", "client_cidrs", i),
                "not a range of addresses",
                cidr,
                "such as 10.0.0.0/8",
            )


def _is_address(value: str) -> bool:
    found = _HOST_PORT.fullmatch(value)
    return found is not None and 1 <= int(found["port"]) <= 65535


def _is_network(cidr: str) -> bool:
    try:
        ipaddress.ip_network(cidr)
    except ValueError:
        return False
    return "/" in cidr


_SIZES = ("memory", "size", "ephemeral", "node_memory")
_OWN_KEYS = ("annotations", "config", "node_selector")  # whose keys are somebody else's


def _quantities(path: KeyPath, raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Sizes without a unit, which are bytes, and cores with a unit of bytes."""
    for key, value in raw.items():
        here = (*path, key)
        if isinstance(value, Mapping) and key not in _OWN_KEYS:
            yield from _quantities(here, value)
            continue
        if not isinstance(value, str) or key not in (*_SIZES, "cpu", "cpu_limit"):
            continue
        try:
            amount = parse_quantity(value)
        except TooLarge:
            yield Problem(here, "more than Kubernetes can count", value)
            continue
        except ValueError:
            continue
        if key in _SIZES and amount < 2**20:
            yield Problem(here, "less than a mebibyte: is a unit missing?", value, "such as 8Gi")
        if key not in _SIZES and (amount < 0.001 or amount > 1024):
            yield Problem(here, "not a number of cores", value, "such as 500m or 2")
