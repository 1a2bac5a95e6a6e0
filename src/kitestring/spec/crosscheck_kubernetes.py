"""What an API server would refuse of `deployment`: said with its line, without a cluster.

Source: Kubernetes, "Object Names and IDs", "Labels and Selectors", and
`staging/src/k8s.io/apimachinery/pkg/util/validation`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.model.quantity import parse_quantity
from kitestring.spec.loaded import KeyPath
from kitestring.spec.plain import items, mapping, text
from kitestring.spec.problems import Problem
from kitestring.spec.types import parse_duration

LONGEST_NAME = 40  # `N-standalone-` and a revision's hash are one label, of 63 characters at most
_HERE: KeyPath = ("deployment",)
_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DNS = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
_KEY = re.compile(rf"({_DNS}/)?{_WORD}")
_VALUE = re.compile(rf"({_WORD})?")
_DOMAIN = re.compile(_DNS)
_HOST = re.compile(rf"(\*\.)?{_DNS}", re.IGNORECASE)
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_TOLERATION = ("key", "operator", "value", "effect", "tolerationSeconds")


def check_kubernetes(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Names, labels, tolerations, annotations, host names and limits that Kubernetes refuses."""
    raw = mapping(data.get("deployment"))
    if not raw:
        return
    yield from _name(text(mapping(data.get("cluster")).get("name")))
    yield from _namespace(raw)
    yield from _placement((*_HERE, "placement"), mapping(raw.get("placement")))
    for name, role in mapping(raw.get("roles")).items():
        here = (*_HERE, "roles", name, "placement")
        yield from _placement(here, mapping(mapping(role).get("placement")))
        yield from _grace((*_HERE, "roles", name, "termination_grace"), mapping(role))
    for key in ("service", "identity"):
        notes = mapping(mapping(raw.get(key)).get("annotations"))
        yield from _keys((*_HERE, key, "annotations"), notes, "an annotation")
    tls = mapping(mapping(raw.get("security")).get("tls"))
    for i, host in enumerate(items(tls.get("hosts"))):
        if isinstance(host, str) and not _is_host(host):
            here = (*_HERE, "security", "tls", "hosts", i)
            yield Problem(here, "no name that a certificate can hold", host, _HOSTS)
    yield from _limits(_HERE, raw)


_HOSTS = "such as milvus.example.com, *.example.com or 10.0.0.7"


def _name(name: str) -> Iterator[Problem]:
    here = ("cluster", "name")
    if len(name) > LONGEST_NAME:
        yield Problem(
            here, f"objects on Kubernetes are named after it: at most {LONGEST_NAME} characters"
        )
    elif name[:1].isdigit():
        yield Problem(here, "Services on Kubernetes are named after it: begin with a letter")


def _namespace(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Namespaces that are not ours to make: it would be labelled, and `pulumi destroy`ed."""
    name, here = text(raw.get("namespace")), (*_HERE, "namespace")
    if name.startswith("kube-"):
        yield Problem(here, "namespaces named `kube-…` are Kubernetes' own: name another", name)
    elif name == "default" and raw.get("create_namespace", True) is not False:
        yield Problem(here, "it is there, and can't be made: say `create_namespace: false`", name)


def _grace(path: KeyPath, role: Mapping[str, Any]) -> Iterator[Problem]:
    """Less than a second is none: pods would be killed at once."""
    try:
        seconds = parse_duration(role["termination_grace"])
    except (KeyError, ValueError):
        return
    if 0 < seconds < 1:
        yield Problem(path, "less than a second: pods would be killed at once", allowed="from 1s")


def _placement(path: KeyPath, placement: Mapping[str, Any]) -> Iterator[Problem]:
    labels = mapping(placement.get("node_selector"))
    yield from _keys((*path, "node_selector"), labels, "a label")
    for key, value in labels.items():
        if isinstance(value, str) and not _VALUE.fullmatch(value):
            yield Problem((*path, "node_selector", key), "no node has such a label", value, _WORDS)
    name = placement.get("priority_class")
    if isinstance(name, str) and not (_DOMAIN.fullmatch(name) and len(name) <= 253):
        allowed = "lower-case letters, digits, `-` and `.` within"
        yield Problem((*path, "priority_class"), "no name of a priority class", name, allowed)
    for i, toleration in enumerate(items(placement.get("tolerations"))):
        yield from _toleration((*path, "tolerations", i), mapping(toleration))


_WORDS = "letters, digits, `-`, `_` and `.` within, at most 63 characters"


def _keys(path: KeyPath, found: Mapping[str, Any], what: str) -> Iterator[Problem]:
    for key in found:
        if not _KEY.fullmatch(key) or len(key.rpartition("/")[0]) > 253:
            yield Problem(
                (*path, key), f"no key of {what}", allowed=f"NAME or DOMAIN/NAME: {_WORDS}"
            )


def _toleration(path: KeyPath, toleration: Mapping[str, Any]) -> Iterator[Problem]:
    for key in toleration:
        if key not in _TOLERATION:
            yield Problem((*path, key), "no key of a toleration", allowed=", ".join(_TOLERATION))
    operator, effect = toleration.get("operator", "Equal"), toleration.get("effect")
    if operator not in ("Equal", "Exists"):
        yield Problem((*path, "operator"), "no such operator", operator, "Equal, Exists")
    elif operator == "Exists" and toleration.get("value") not in (None, ""):
        yield Problem((*path, "value"), "`operator: Exists` takes no value: remove it")
    elif operator == "Equal" and not toleration.get("key"):
        yield Problem(path, "name its `key`; for every taint write `operator: Exists`")
    if effect is not None and effect not in _EFFECTS:
        yield Problem((*path, "effect"), "no such effect", effect, ", ".join(_EFFECTS))
    for key in ("key", "operator", "value", "effect"):
        if key in toleration and not isinstance(toleration[key], str):
            yield Problem((*path, key), "must be text: put it in quotes", toleration[key])
    seconds = toleration.get("tolerationSeconds")
    if seconds is not None and not isinstance(seconds, int):
        yield Problem((*path, "tolerationSeconds"), "must be a whole number", seconds)
    elif seconds is not None and effect != "NoExecute":
        yield Problem((*path, "tolerationSeconds"), "it goes with `effect: NoExecute`")


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return len(host) <= 253 and _HOST.fullmatch(host) is not None
    return True


def _limits(path: KeyPath, raw: Mapping[str, Any]) -> Iterator[Problem]:
    """More cores asked for than may be taken."""
    for key, value in raw.items():
        if not isinstance(value, Mapping):
            continue
        here = (*path, key)
        asked, limit = value.get("cpu"), value.get("cpu_limit")
        if isinstance(asked, str) and isinstance(limit, str) and _more(asked, limit):
            yield Problem((*here, "cpu_limit"), f"less than `cpu` ({asked})", limit)
        yield from _limits(here, value)


def _more(asked: str, limit: str) -> bool:
    try:
        return parse_quantity(asked) > parse_quantity(limit)
    except ValueError:
        return False
