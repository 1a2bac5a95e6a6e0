"""Settings of the server's processes, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SettingsSeen:
    """`values` is the dotted name of a setting, then process -> value. What a server does not tell
    is not there; `reason` says why nothing could be read."""

    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    reason: str = ""
