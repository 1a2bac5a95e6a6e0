"""Words that findings, errors and reports share."""

from __future__ import annotations


def plural(number: int, noun: str) -> str:
    """`1 check`, `3 checks`, `12,345 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
