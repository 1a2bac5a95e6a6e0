"""Up to when evidence out of a server's files holds every write, in words."""

from __future__ import annotations

from kitestring.model.instant import utc


def later_text(until: int) -> str:
    """Args: until: ms since the epoch."""
    return f"writes after {utc(until)} are not in the files"


def until_text(until: int | None) -> str:
    """What follows a number of rows; nothing where all were read."""
    return f" written until {utc(until)}" if until is not None else ""
