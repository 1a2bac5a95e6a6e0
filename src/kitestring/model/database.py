"""The connection's database, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatabaseSeen:
    """`properties` is None where they could not be read: `reason` says why."""

    name: str
    properties: Mapping[str, str] | None = None
    reason: str = ""
