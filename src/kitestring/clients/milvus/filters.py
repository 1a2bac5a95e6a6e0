"""Keys in Milvus's filter language, with what its parser and its answers make of the extremes.

Seen on 2.3.5: the parser takes a number without its sign first, so that the smallest integer does
not fit and is refused; and the proxy looks for the smallest key of an answer from the largest
integer downwards, so that this one itself is counted and never given.
"""

from __future__ import annotations

from collections.abc import Sequence

SMALLEST, LARGEST = -(1 << 63), (1 << 63) - 1

Key = str | int


def quote(text: str) -> str:
    """A string literal of Milvus's filter language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f'"{escaped}"'


def literal(value: Key) -> str:
    """A key as it stands in a filter; not the smallest integer (see `among`, `within`)."""
    return quote(value) if isinstance(value, str) else str(value)


def every(field: str, *, text: bool) -> str:
    """All keys; servers want some filter."""
    return f'{field} >= ""' if text else f"{field} < 0 or {field} >= 0"


def within(field: str, after: Key | None, upto: Key | None) -> str:
    """The keys above `after` and up to `upto`; empty where both are None."""
    tests = []
    if after is not None:
        tests.append(
            f"{field} >= {SMALLEST + 1}" if after == SMALLEST else f"{field} > {literal(after)}"
        )
    if upto is not None:
        tests.append(
            f"{field} < {SMALLEST + 1}" if upto == SMALLEST else f"{field} <= {literal(upto)}"
        )
    return " and ".join(tests)


def among(field: str, keys: Sequence[Key]) -> str:
    """These keys, at least one."""
    listed = ", ".join(literal(key) for key in keys if key != SMALLEST)
    tests = [f"{field} in [{listed}]"] if listed else []
    if SMALLEST in keys:
        tests.append(within(field, None, SMALLEST))
    return " or ".join(tests)
