"""Reading plain values of which nothing is known yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOTHING: Mapping[str, Any] = {}


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, or an empty one."""
    return value if isinstance(value, Mapping) else _NOTHING


def items(value: Any) -> list[Any]:
    """The value if it is a list, or an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value if it is text, or an empty one."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> int | float | None:
    """The value if it is a number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
