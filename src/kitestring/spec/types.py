"""Value types of a spec: durations, times of day, references to secrets."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


class Model(BaseModel):
    """The base of every model of a spec: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_duration(value: Any) -> float:
    """Seconds from text such as `90s`, `1h30m` or `7d`.

    Raises:
        ValueError: the text is no duration.
    """
    if isinstance(value, float):  # already parsed
        return value
    text = str(value).strip()
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("not a duration: write a number and a unit, such as 90s, 15m, 24h or 7d")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """The shortest exact text that `parse_duration` reads back, in at most two units."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    for unit in ("w", "d", "h", "m"):
        if seconds >= _UNITS[unit] and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:g}{unit}"
    return f"{seconds:g}s"


Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, return_type=str),
    Field(description="a number and a unit: 90s, 15m, 24h, 7d"),
]
TimeOfDay = Annotated[
    str,
    Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="hours and minutes, 24 h: `01:30`"),
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,254}$")]
"""A name that Milvus accepts for a collection, field, alias or partition."""


class SecretRef(Model):
    """Where a secret is found. Secrets themselves never stand in a spec."""

    env: str | None = Field(None, description="name of an environment variable")
    file: str | None = Field(None, description="path of a file whose content is the secret")

    @model_validator(mode="after")
    def _one(self) -> SecretRef:
        if (self.env is None) == (self.file is None):
            raise ValueError("name either `env` (a variable) or `file` (a path)")
        return self
