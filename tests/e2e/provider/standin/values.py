"""Values between the engine and the API server. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from google.protobuf import struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

# what the API server writes into every object, and nobody declares
SERVERS_OWN = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_QUANTITY = re.compile(r"^([+-]?\d+(?:\.\d+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|)$")
_FACTORS = {
    "m": Decimal("0.001"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6),
    "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "Ki": Decimal(2**10),
    "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
}  # fmt: skip


def plain(value: struct_pb2.Struct | struct_pb2.Value) -> Any:
    """A protobuf value as Python's; secrets unwrapped, whole numbers as int."""
    if isinstance(value, struct_pb2.Struct):
        fields = {key: plain(item) for key, item in value.fields.items()}
        return fields["value"] if fields.get(SIGNATURE) == SECRET else fields
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain(value.struct_value)
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return None if kind in (None, "null_value") else getattr(value, kind)


def struct(fields: Mapping[str, Any]) -> struct_pb2.Struct:
    """Python's values as a protobuf struct."""
    made = struct_pb2.Struct()
    made.update(dict(fields))
    return made


def sealed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The object with a Secret's values wrapped, so that the engine encrypts them in its state."""
    body = dict(body)
    if body.get("kind") == "Secret":
        for key in ("data", "stringData"):
            if body.get(key) is not None:
                body[key] = {SIGNATURE: SECRET, "value": body[key]}
    return body


def has_unknown(value: Any) -> bool:
    """Whether some value is known only once another resource is made."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def live(body: Mapping[str, Any]) -> dict[str, Any]:
    """An object of the cluster without what only the API server is interested in."""
    metadata = {k: v for k, v in body.get("metadata", {}).items() if k != "managedFields"}
    return {**body, "metadata": metadata}


def importable(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a program would declare for an object that it did not make."""
    body = {key: value for key, value in body.items() if key != "status"}
    body["metadata"] = {k: v for k, v in body["metadata"].items() if k not in SERVERS_OWN}
    return body


def same(a: Any, b: Any) -> bool:
    """Whether the API server takes both for the same value: quantities, nothing against empty."""
    if a == b:
        return True
    if a in (None, {}, [], "") and b in (None, {}, [], ""):
        return True
    if isinstance(a, (str, int, float)) and isinstance(b, (str, int, float)):
        x, y = _amount(a), _amount(b)
        return x is not None and x == y
    return False


def _amount(value: Any) -> Decimal | None:
    match = _QUANTITY.match(str(value))
    return Decimal(match[1]) * _FACTORS[match[2]] if match else None


def declared(inputs: Any, found: Any) -> Any:
    """What is found in the cluster, reduced to the fields that `inputs` declares.

    A value that means the same stays as it was written. Items that somebody added to a declared
    list are kept, so that they show.
    """
    if isinstance(inputs, Mapping) and isinstance(found, Mapping):
        out = {}
        for key, value in inputs.items():
            if key == "stringData" and "data" in found:
                out[key] = _decoded(value, found["data"] or {})
            elif key in found:
                out[key] = declared(value, found[key])
            elif not value:  # an empty value, nothing and 0 are left out by the API server
                out[key] = value
        return out
    if isinstance(inputs, list) and isinstance(found, list):
        return _declared_list(inputs, found)
    return inputs if same(inputs, found) else found


def _declared_list(inputs: list[Any], found: list[Any]) -> list[Any]:
    key = next(
        (k for k in ("name", "key", "type", "containerPort") if _keyed(inputs, found, k)), None
    )
    if key is None:
        matched = [declared(a, b) for a, b in zip(inputs, found, strict=False)]
        return matched + found[len(inputs) :]
    by_key = {item[key]: item for item in found}
    names = {item[key] for item in inputs}
    matched = [declared(item, by_key[item[key]]) for item in inputs if item[key] in by_key]
    return matched + [item for item in found if item[key] not in names]


def _keyed(inputs: list[Any], found: list[Any], key: str) -> bool:
    every = [*inputs, *found]
    if not all(
        isinstance(item, Mapping) and isinstance(item.get(key), (str, int)) for item in every
    ):
        return False
    return all(len({item[key] for item in side}) == len(side) for side in (inputs, found))


def _decoded(string_data: Mapping[str, str], data: Mapping[str, str]) -> dict[str, str]:
    return {
        key: base64.b64decode(data[key]).decode(errors="replace")
        for key in string_data
        if key in data
    }


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between what was declared and what is declared now."""

    path: tuple[str | int, ...]
    op: Literal["add", "delete", "update"]

    @property
    def property_path(self) -> str:
        """As the engine writes paths: `spec.template.spec.containers[0].image`."""
        text = ""
        for part in self.path:
            if isinstance(part, int):
                text += f"[{part}]"
            elif re.fullmatch(r"\w+", part):
                text += f".{part}" if text else part
            else:
                text += f'["{part}"]'
        return text


def changes(old: Any, new: Any, path: tuple[str | int, ...] = ()) -> Iterator[Change]:
    """Each difference, at the deepest path that both sides have."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(k for k in new if k not in old)]:
            yield from _at(old, new, key, (*path, key), key in old, key in new)
    elif isinstance(old, list) and isinstance(new, list):
        for i in range(max(len(old), len(new))):
            yield from _at(old, new, i, (*path, i), i < len(old), i < len(new))
    elif not same(old, new):
        yield Change(path, "update")


def _at(
    old: Any, new: Any, key: Any, path: tuple[str | int, ...], in_old: bool, in_new: bool
) -> Iterator[Change]:
    if in_old and in_new:
        yield from changes(old[key], new[key], path)
    elif in_old and not same(old[key], None):
        yield Change(path, "delete")
    elif in_new and not same(new[key], None):
        yield Change(path, "add")
