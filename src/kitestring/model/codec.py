"""Frozen dataclasses to plain JSON values and back.

The model's values go into manifests and records that outlive this version of the tool, so the
decoding is strict: a key or type that is not known is an error, not a guess.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """A dataclass (nested) as dicts, lists and scalars."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(v) for v in value]
    return value


@cache
def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def from_plain(cls: type[T], data: Any) -> T:
    """The dataclass `cls` from what `to_plain` gave.

    Raises:
        ValueError: a field is missing, unknown or of another type; the text names it.
    """
    if isinstance(data, Mapping):
        names = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(data) - names)
        if unknown:
            raise ValueError(f"unknown field {unknown[0]!r} in {cls.__name__}")
    try:
        result: T = _adapter(cls).validate_python(data)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{cls.__name__}.{where}: {first['msg']}") from None
    return result
