"""Kubernetes quantities: `500m` cores, `8Gi` bytes."""

from __future__ import annotations

import math
import re

_UNITS = {
    "": 1.0,
    "m": 0.001,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?", re.ASCII)
LARGEST = 2.0**63
"""Kubernetes counts no further."""


class TooLarge(ValueError):
    """More than Kubernetes can count."""


def parse_quantity(text: str) -> float:
    """The number of cores or bytes that a quantity stands for.

    Raises:
        ValueError: the text is no quantity, or a `TooLarge` one.
    """
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"`{text}` is no Kubernetes quantity, such as 500m, 2 or 8Gi")
    amount = float(found[1]) * _UNITS[found[2] or ""]
    if amount >= LARGEST:
        raise TooLarge(f"`{text[:40]}` is more than Kubernetes can count")
    return amount


def parse_bytes(text: str) -> int:
    """The bytes that a quantity stands for, a part of one rounded up.

    Raises:
        ValueError: the text is no quantity.
    """
    return math.ceil(parse_quantity(text))


def memory_quantity(size: float) -> str:
    """A quantity of at least that many bytes, in steps that people use: 256Mi, from 4Gi on 1Gi."""
    step = 2**30 if size > 4 * 2**30 else 2**28
    rounded = max(1, math.ceil(size / step)) * step
    return f"{rounded // 2**30}Gi" if rounded % 2**30 == 0 else f"{rounded // 2**20}Mi"


def shown_bytes(size: float) -> str:
    """Bytes for people: `3.4 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
