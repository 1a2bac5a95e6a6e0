"""Values of fields as text for people. What may be a secret is masked."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any

from kitestring.clients.kube.paths import ABSENT, Part

MASK = "(secret)"
_LONGEST = 240
_LINES = 6  # of a text that differs in parts

# names of settings and variables whose values are never shown
_SECRET = re.compile(
    r"passw|secret|token|credential|private|api[-_]?key|access[-_]?key|auth[-_]?params", re.I
)
# names of Secrets and files are no secrets
_HARMLESS = re.compile(
    r"name$|ref$|path$|file$|automount|secrets?\[|pullsecrets|serviceaccount", re.I
)
_SETTING = re.compile(r"^(?P<name>[\w.\-\s\"']+?)\s*[:=]\s*(?P<value>.+)$")


def value_texts(kind: str, path: Sequence[Part], expected: Any, observed: Any) -> tuple[str, str]:
    """Both values as text; of long texts only the lines that differ. Empty for ABSENT."""
    if kind == "Secret" and path[0] in ("data", "stringData"):
        return _masked(expected), _masked(observed)
    if secret_path(path):
        return _masked(expected), _masked(observed)
    if isinstance(expected, str) and isinstance(observed, str) and "\n" in expected + observed:
        return _lines(expected, observed)
    return value_text(expected), value_text(observed)


def value_text(value: Any) -> str:
    """A value on one line."""
    if value is ABSENT:
        return ""
    if isinstance(value, str):
        text = "; ".join(_line(line) for line in value.splitlines()) if "\n" in value else value
        text = text or '""'
    else:
        text = json.dumps(_without_secrets(value), ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def secret_path(path: Sequence[Part]) -> bool:
    """The path leads to the value of a variable or setting whose name sounds like a secret."""
    for number, part in enumerate(path):
        inside = [p for p in path[number + 1 :] if isinstance(p, str)]
        if isinstance(part, tuple):
            by_reference = inside[:1] == ["valueFrom"] or inside[-1:] == ["name"]
            if path[number - 1] == "env" and _sounds(str(part[0][1])) and not by_reference:
                return True
    last = path[-1]
    return (
        isinstance(last, str)
        and path[0] in ("data", "metadata")
        and _sounds(last)
        and not _HARMLESS.search(last)
    )


def _sounds(name: str) -> bool:
    return bool(_SECRET.search(name))


def _masked(value: Any) -> str:
    return "" if value is ABSENT else MASK


def _without_secrets(value: Any) -> Any:
    """Items such as `{name: X_PASSWORD, value: …}` without the value."""
    if isinstance(value, dict):
        if "value" in value and _sounds(str(value.get("name", ""))):
            return {**value, "value": MASK}
        return {
            key: MASK
            if isinstance(inner, str) and _sounds(key) and not _HARMLESS.search(key)
            else _without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value


def _lines(expected: str, observed: str) -> tuple[str, str]:
    wanted, there = expected.splitlines(), observed.splitlines()
    matcher = difflib.SequenceMatcher(None, wanted, there, autojunk=False)
    blocks = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    return (
        _joined([line for _, start, end, _, _ in blocks for line in wanted[start:end]]),
        _joined([line for _, _, _, start, end in blocks for line in there[start:end]]),
    )


def _joined(lines: list[str]) -> str:
    shown = "; ".join(_line(line) for line in lines[:_LINES])
    return f"{shown}; and {len(lines) - _LINES} lines more" if len(lines) > _LINES else shown


def _line(line: str) -> str:
    """A line of a text, without the value of a setting that sounds like a secret."""
    setting = _SETTING.match(line.strip())
    if setting and _sounds(setting["name"]) and not _HARMLESS.search(setting["name"].strip()):
        return f"{setting['name'].strip()}: {MASK}"
    return line.strip()
