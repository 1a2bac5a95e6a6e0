"""`deployment.config`: settings of milvus.yaml that the spec passes on, put among those made here.

What may be passed on at all is `spec.crosscheck_config`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.errors import SpecInvalid
from kitestring.manifests.refuse import refuse
from kitestring.spec.crosscheck_config import normal, why_not


def apply_overrides(
    settings: Mapping[str, Any], given: Mapping[str, str | int | float | bool]
) -> dict[str, Any]:
    """The settings with those of the spec added. `settings` is left as it is.

    Raises:
        SpecInvalid: a key may not be passed on, or contradicts what the spec says elsewhere.
    """
    taken = {normal(key): value for key, value in _leaves(settings)}
    made = _copy(settings)
    seen: dict[str, str] = {}
    for key, value in given.items():
        name = normal(key)
        if reason := why_not(key):
            raise _no(key, reason)
        if name in taken and taken[name] != value:
            raise _no(key, f"the spec decides it: here it is `{taken[name]}`")
        if name in seen:
            raise _no(key, f"the same setting as `{seen[name]}`")
        seen[name] = key
        _put(made, key, value)
    return made


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


def _no(key: str, why: str) -> SpecInvalid:
    return refuse(("deployment", "config", key), why)


def _leaves(node: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        else:
            yield ".".join((*path, key)), value


def _copy(node: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, Mapping) else v for k, v in node.items()}
