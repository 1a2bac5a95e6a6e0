"""`deployment.config`: settings of milvus.yaml that the spec passes on, and those that it must not.

Milvus compares names without case, `.`, `_` and `/`: so are they compared here, or
`common_security.AuthorizationEnabled` would slip through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.manifests.refuse import refuse

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)+")

_DECIDED = {
    "mq.type": "the log is `deployment.message_log`, and can't be changed on a live cluster",
    "messageQueue": "the log is `deployment.message_log`",
    "common.security.authorizationEnabled": "authentication is always on",
    "common.security.superUsers": "a super user passes every grant: name it in `access`",
    "common.security.tlsMode": "TLS is `deployment.security.tls`",
    "etcd.endpoints": "the metadata store is `deployment.etcd`",
    "etcd.rootPath": "the prefix is `deployment.etcd.root_path`",
    "common.gracefulStopTimeout": "it is `termination_grace` of the role",
}
"""Settings that the spec decides elsewhere, and where."""
_SECTIONS = {
    "minio": "the object store is `storage` or `deployment.minio`",
    "tls": "TLS is `deployment.security.tls`",
    "kafka": "the log is `deployment.message_log`",
    "pulsar": "the log is `deployment.message_log`",
}
_SECRET = (
    "password",
    "secretaccesskey",
    "accesskeyid",
    "authparams",
    "credentialjson",
    "saslusername",
    "secretkey",
    "token",
    "apikey",
)
_PORT = re.compile(
    r"(proxy|rootcoord|querycoord|datacoord|mixcoord|indexcoord|querynode|datanode|indexnode"
    r"|streamingnode)(http|internal)?port"
)


def normal(key: str) -> str:
    """A setting's name as Milvus compares it."""
    return re.sub(r"[._/]", "", key).lower()


def apply_overrides(
    settings: Mapping[str, Any], given: Mapping[str, str | int | float | bool]
) -> dict[str, Any]:
    """The settings with those of the spec added. `settings` is left as it is.

    Raises:
        SpecInvalid: a key is none, is a secret, or contradicts what the spec says elsewhere.
    """
    taken = {normal(key): (key, value) for key, value in _leaves(settings)}
    made = _copy(settings)
    seen: dict[str, str] = {}
    for key, value in given.items():
        _check(key, value, taken)
        if normal(key) in seen:
            raise _no(key, f"it is the same setting as `{seen[normal(key)]}`")
        seen[normal(key)] = key
        _put(made, key, value)
    return made


def _check(key: str, value: object, taken: Mapping[str, tuple[str, Any]]) -> None:
    name = normal(key)
    if name.endswith(_SECRET):
        raise _no(key, "secrets never stand in a spec")
    for decided, why in _DECIDED.items():
        if name == normal(decided):
            raise _no(key, why)
    if not _KEY.fullmatch(key):
        raise _no(key, "not a setting: write names of milvus.yaml with dots between them")
    if name in taken and taken[name][1] != value:
        ours, expected = taken[name]
        why = _SECTIONS.get(ours.partition(".")[0], "the spec decides it")
        raise _no(key, f"{why}; here it is `{expected}`")
    if _PORT.fullmatch(name):
        raise _no(key, "ports are fixed: Services and network policies name them")


def _put(made: dict[str, Any], key: str, value: object) -> None:
    *parents, last = key.split(".")
    node = made
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise _no(key, f"`{parent}` is a value, and has no settings below it")
        node = child
    if isinstance(node.get(last), dict):
        raise _no(key, "it is a section: name a setting in it")
    node[last] = value


def _no(key: str, why: str) -> Exception:
    return refuse(("deployment", "config", key), why)


def _leaves(node: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        else:
            yield ".".join((*path, key)), value


def _copy(node: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, Mapping) else v for k, v in node.items()}
