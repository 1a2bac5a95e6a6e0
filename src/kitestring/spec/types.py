"""Value types of a spec: durations, times of day, references to secrets."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", re.ASCII)
_LONGEST = 36500 * 86400.0  # a century: beyond it dates end


class Model(BaseModel):
    """The base of every model of a spec: unknown keys are errors, values are frozen.

    Strict: `true` is no number, `"384"` is no number, so that a slip is not silently a value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


FROM_FILE = {"from_file": True}
"""Validation context: the values were written by a user, and a duration needs its unit."""


def parse_duration(value: Any) -> float:
    """Seconds from text such as `90s`, `1h30m` or `7d`.

    Raises:
        ValueError: the text is no duration.
    """
    text = str(value).strip()
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("not a duration: write a number and a unit, such as 90s, 15m, 24h or 7d")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _LONGEST:
        raise ValueError("longer than a century (36500d)")
    return seconds


def read_duration(value: Any, info: ValidationInfo) -> float:
    """A duration of a spec: text with a unit; seconds as a float only where code wrote them.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, float) and info.context != FROM_FILE:
        return value
    return parse_duration(value)


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
    BeforeValidator(read_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, return_type=str),
    Field(gt=0, description="a number and a unit: 90s, 15m, 24h, 7d"),
]
_TIME = r"^([01]\d|2[0-3]):[0-5]\d$"
NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,254}$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
CLUSTER_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
MODEL_NAME = r"^[A-Za-z0-9._/-]+$"
MODEL_VERSION = r"^[A-Za-z0-9._-]+$"
URI = r"^https?://[^/\s]"
PREFIX = r"^([^/](.*[^/])?)?$"
DNS_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
SECRET_NAME = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"  # noqa: S105 - a pattern
MILVUS_VERSION = r"^2\.\d{1,2}\.\d{1,3}$"
REGISTRY = r"^[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?(/[a-z0-9._/-]*[a-z0-9])?$"
_PATH = r"[a-z0-9]+([._-]+[a-z0-9]+)*"
IMAGE = (
    rf"^([A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?/)?{_PATH}(/{_PATH})*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)
BUCKET = r"^[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]$"
REGION = r"^[A-Za-z0-9-]+$"
MAIL_ADDRESS = r"^[^@\s<>,]+@[^@\s<>,]+$"
CHECK_ID = r"^[a-z0-9-]+\.[a-z0-9-]+$"
_QUANTITY = r"^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$"

PATTERN_TEXTS = {
    _TIME: "hours and minutes of a day, such as 01:30",
    NAME: "letters, digits and `_`, not first a digit, at most 255 characters",
    _VARIABLE: "the name of an environment variable",
    CLUSTER_NAME: "lower-case letters, digits and `-` within, at most 63 characters",
    MODEL_NAME: "letters, digits and `.`, `_`, `/`, `-`",
    MODEL_VERSION: "letters, digits and `.`, `_`, `-`",
    PREFIX: "without a slash at either end",
    URI: "http://HOST:PORT or https://HOST:PORT",
    DNS_LABEL: "lower-case letters, digits and `-` within, at most 63 characters",
    SECRET_NAME: "lower-case letters, digits, `-` and `.` within",
    MILVUS_VERSION: 'a whole version in quotes, such as "2.5.16"',
    REGISTRY: "a host, with port and path where it has them: registry.example.com:5000/mirror",
    BUCKET: "3 to 63 letters, digits and `.`, `_`, `-` within",
    REGION: "letters, digits and `-`, such as eu-central-1",
    IMAGE: "NAME:TAG, or NAME@sha256:DIGEST",
    MAIL_ADDRESS: "an address such as ops@example.com",
    CHECK_ID: "the id of a check, such as index.drift",
    _QUANTITY: "a Kubernetes quantity: 500m, 2, 8Gi",
}
"""What each pattern of the models allows, in words."""

TimeOfDay = Annotated[
    str,
    Field(pattern=_TIME, description="hours and minutes, 24 h: `01:30`"),
]
Quantity = Annotated[str, Field(pattern=_QUANTITY)]
"""A Kubernetes quantity as text: cores (`500m`) or bytes (`8Gi`)."""
Name = Annotated[str, Field(pattern=NAME)]
"""A name that Milvus accepts for a collection, field, alias or partition."""


class SecretRef(Model):
    """Where a secret is found. Secrets themselves never stand in a spec."""

    env: str | None = Field(None, pattern=_VARIABLE, description="name of an environment variable")
    file: str | None = Field(
        None, min_length=1, description="path of a file whose content is the secret"
    )

    @model_validator(mode="after")
    def _one(self) -> SecretRef:
        if (self.env is None) == (self.file is None):
            raise ValueError("name either `env` (a variable) or `file` (a path), and not both")
        return self


def across(message: str) -> PydanticCustomError:
    """An error about keys that do not go together; `crosscheck` finds its line in a file."""
    return PydanticCustomError("crosscheck", "{text}", {"text": message})
