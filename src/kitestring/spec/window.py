"""A time of day from which, and until which, something may be started: `02:00-05:00`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from kitestring.spec.types import TimeOfDay

_TIME: TypeAdapter[str] = TypeAdapter(TimeOfDay)


def window_ends(window: str) -> tuple[str, str]:
    """The two times of a window, as `HH:MM`.

    Raises:
        ValueError: it is none.
    """
    first, _, last = window.partition("-")
    try:
        ends = _TIME.validate_python(first.strip()), _TIME.validate_python(last.strip())
    except ValidationError:
        raise ValueError("not a window: write two times of day, such as 02:00-05:00") from None
    if ends[0] == ends[1]:
        raise ValueError("a window that ends when it begins is none: leave it out for any time")
    return ends


def within(window: str, now: str) -> bool:
    """Whether a time of day is in a window, which may go past midnight; the end is outside."""
    first, last = window_ends(window)
    return first <= now < last if first < last else now >= first or now < last


def _checked(value: Any) -> Any:
    if isinstance(value, str):
        window_ends(value)
    return value


Window = Annotated[
    str,
    BeforeValidator(_checked),
    Field(description="two times of day: `02:00-05:00`; may go past midnight"),
]
