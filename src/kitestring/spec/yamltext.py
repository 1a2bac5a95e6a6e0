"""Writes plain values as YAML that `document` reads back to the same values, with comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.spec.document import parse_scalar
from kitestring.spec.loaded import KeyPath

_PLAIN = re.compile(r"[A-Za-z0-9_./~-](?:[A-Za-z0-9_./@:+~() -]*[A-Za-z0-9_./@+~()-])?")
_FLOW_WIDTH = 88  # columns
_UNSAFE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


def to_yaml(value: Mapping[str, Any], comments: Mapping[KeyPath, str] | None = None) -> str:
    """A mapping as YAML in block style.

    Args:
        comments: what stands behind the key of a path, after `#`.
    """
    lines = [
        f"{text}  # {comment}" if comment else text
        for text, comment in _mapping(value, (), 0, comments or {})
    ]
    return "\n".join(lines) + "\n"


def scalar(value: Any) -> str:
    """A single value, in quotes where it would be read as something else."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value).replace("inf", ".inf").replace("nan", ".nan")
    text = str(value)
    if _PLAIN.fullmatch(text) and ": " not in text and not text.startswith(("-", "~")):
        try:
            if parse_scalar(text) == text:
                return text
        except ValueError:
            pass
    return _UNSAFE.sub(lambda m: f"\\u{ord(m.group()):04x}", json.dumps(text, ensure_ascii=False))


_Lines = Iterator[tuple[str, str]]


def _mapping(
    value: Mapping[str, Any], path: KeyPath, indent: int, comments: Mapping[KeyPath, str]
) -> _Lines:
    for key, item in value.items():
        below = (*path, key)
        yield from _entry(f"{' ' * indent}{scalar(key)}:", item, below, indent, comments)


def _entry(
    head: str, value: Any, path: KeyPath, indent: int, comments: Mapping[KeyPath, str]
) -> _Lines:
    """`head` and its value: on one line where it is single, or below it."""
    comment = comments.get(path, "")
    if isinstance(value, Mapping) and value:
        yield head, comment
        yield from _mapping(value, path, indent + 2, comments)
    elif isinstance(value, list) and value:
        flow = _flow(head, value, path, comments)
        if flow is not None:
            yield flow, comment or comments.get((*path, 0), "")
            return
        yield head, comment
        for number, item in enumerate(value):
            yield from _item(item, (*path, number), indent + 2, comments)
    else:
        text = "{}" if isinstance(value, Mapping) else "[]" if value == [] else scalar(value)
        yield f"{head} {text}", comment


def _item(value: Any, path: KeyPath, indent: int, comments: Mapping[KeyPath, str]) -> _Lines:
    dash = " " * indent + "- "
    if isinstance(value, Mapping) and value:
        lines = list(_mapping(value, path, indent + 2, comments))
        first, comment = lines[0]
        yield dash + first[indent + 2 :], comment or comments.get(path, "")
        yield from lines[1:]
    else:
        yield from _entry(dash.rstrip(), value, path, indent, comments)


def _flow(
    head: str, value: list[Any], path: KeyPath, comments: Mapping[KeyPath, str]
) -> str | None:
    """`head [a, b]` where the items are single values with the same comment and fit a line."""
    if any(isinstance(item, Mapping | list) for item in value):
        return None
    if len({comments.get((*path, n), "") for n in range(len(value))}) > 1:
        return None
    texts = [scalar(item) for item in value]
    line = f"{head} [{', '.join(texts)}]"
    quoted = all(re.fullmatch(r"[\w.-]+", t) or t.startswith('"') for t in texts)
    return line if quoted and len(line) <= _FLOW_WIDTH else None
