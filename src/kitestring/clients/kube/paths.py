"""Paths of fields in Kubernetes objects: items of lists are named by their keys, not positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Key = tuple[tuple[str, Any], ...]
"""What names an item of a list: `(("name", "milvus"),)`."""
Part = str | int | Key
Path = tuple[Part, ...]

# field that holds a list -> alternatives of the fields that name an item (the API's own merge keys)
_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "conditions": (("type",),),
    "containers": (("name",),),
    "env": (("name",),),
    "hostAliases": (("ip",),),
    "imagePullSecrets": (("name",),),
    "initContainers": (("name",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "volumeMounts": (("mountPath",),),
    "volumes": (("name",),),
}
_DEFAULTS = {"protocol": "TCP"}


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Any = _Absent()
"""No value: the field is not there."""


def keyed(field: Part | None, items: Any) -> dict[Key, Any] | None:
    """The items of a list by their keys; None where it is no list of keyed items."""
    if not isinstance(field, str) or not isinstance(items, list):
        return None
    for names in _KEYS.get(field, ()):
        found = {}
        for item in items:
            if not isinstance(item, Mapping):
                return None
            if names[0] not in item:
                break
            key = tuple((name, item.get(name, _DEFAULTS.get(name))) for name in names)
            found[key] = item
        else:
            # two items of one key: the positions are all that tells them apart
            return found if len(found) == len(items) else None
    return None


def at(value: Any, path: Sequence[Part]) -> Any:
    """The value at a path, or ABSENT."""
    field: Part | None = None
    for part in path:
        if isinstance(part, tuple):
            items = keyed(field, value)
            value = ABSENT if items is None else _matching(items, part)
        elif isinstance(part, int):
            inside = isinstance(value, list) and part < len(value)
            value = value[part] if inside else ABSENT
        else:
            value = value.get(part, ABSENT) if isinstance(value, Mapping) else ABSENT
        if value is ABSENT:
            return ABSENT
        field = part
    return value


def _matching(items: Mapping[Key, Any], wanted: Key) -> Any:
    if wanted in items:
        return items[wanted]
    # the API server may name an item by another set of keys than ours
    for item in items.values():
        if all(item.get(name, _DEFAULTS.get(name)) == value for name, value in wanted):
            return item
    return ABSENT


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value that holds no others; lists without keys count as one value."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
        return
    items = keyed(path[-1] if path else None, value)
    if items:
        for key, inner in items.items():
            yield from leaves(inner, (*path, key))
        return
    yield path


def differences(left: Any, right: Any, path: Path = ()) -> Iterator[Path]:
    """Where two values differ: the deepest paths that both sides can be compared at."""
    if left == right:
        return
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in sorted({*left, *right}):
            yield from differences(left.get(key, ABSENT), right.get(key, ABSENT), (*path, key))
        return
    field = path[-1] if path else None
    before, after = keyed(field, left), keyed(field, right)
    if before is not None and after is not None:  # in whatever order
        for item in dict.fromkeys([*before, *after]):
            yield from differences(before.get(item, ABSENT), after.get(item, ABSENT), (*path, item))
        return
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        pairs = list(zip(left, right, strict=True))
        if all(isinstance(one, Mapping) and isinstance(two, Mapping) for one, two in pairs):
            for number, (one, two) in enumerate(pairs):
                yield from differences(one, two, (*path, number))
            return
    yield path


def path_text(path: Sequence[Part]) -> str:
    """`spec.template.spec.containers[milvus].ports[9091/TCP].name`."""
    text = ""
    for part in path:
        if isinstance(part, tuple):
            text += "[" + "/".join(str(value) for _, value in part) + "]"
        elif isinstance(part, int) or "." in part or "/" in part:
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def dotted(text: str) -> Path:
    """A path from dotted text such as `spec.replicas`; a dot within a name is written `\\.`."""
    hidden = text.replace("\\.", "\0")
    return tuple(
        int(part) if part.isdigit() else part.replace("\0", ".") for part in hidden.split(".")
    )
