"""What is wrong with a spec: one value for each fault, and how they read."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitestring.errors import SpecInvalid
from kitestring.spec.loaded import KeyPath

ABSENT: Any = object()
"""No value to show: there is none, or it may be a secret."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. `position` is a line and a column, from 1, or None where the file has none;
    `variable` names the environment variable that brought the value."""

    path: KeyPath
    message: str
    got: Any = ABSENT
    allowed: str = ""
    suggestion: str = ""
    position: tuple[int, int] | None = None
    variable: str = ""

    def text(self, file: str) -> str:
        """`file:line:column: field.path: message (got VALUE); allowed: …; did you mean …?`"""
        if self.variable:
            where = f"environment variable {self.variable}"
        else:
            line, column = self.position or (1, 1)
            where = f"{file}:{line}:{column}"
        parts = [where] + ([path_text(self.path)] if self.path else [])
        text = ": ".join([*parts, self.message])
        if self.got is not ABSENT:
            text += f" (got {shown(self.got)})"
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        if self.suggestion:
            text += f"; did you mean `{self.suggestion}`?"
        return text

    def as_dict(self, file: str) -> dict[str, Any]:
        line, column = self.position or (1, 1)
        return {
            "file": file,
            "line": None if self.variable else line,
            "column": None if self.variable else column,
            "variable": self.variable,
            "path": path_text(self.path),
            "message": self.message,
            "got": None if self.got is ABSENT else shown(self.got),
            "allowed": self.allowed,
            "suggestion": self.suggestion,
            "text": self.text(file),
        }


def path_text(path: Sequence[str | int]) -> str:
    """A key path as people write it: `collections[0].indexes[1].type`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """A value of a spec on one short line."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def nearest(word: Any, choices: Iterable[str]) -> str:
    """The choice that a mistyped word most likely meant, or an empty text."""
    if not isinstance(word, str):
        return ""
    by_fold = {choice.casefold(): choice for choice in choices}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else ""


def refuse(file: Path, problems: Sequence[Problem]) -> SpecInvalid:
    """The exception that lists every problem, in the order of the file."""
    by_text = {p.text(str(file)): p for p in problems}
    ordered = sorted(by_text.values(), key=lambda p: (p.variable, p.position or (1, 1)))
    lines = [p.text(str(file)) for p in ordered]
    if len(lines) == 1:
        message = lines[0]
    else:
        message = f"{file} has {len(lines)} errors\n" + "\n".join(f"  {line}" for line in lines)
    return SpecInvalid(
        message,
        hint="`kitestring spec reference` prints every key and what it takes",
        subject=str(file),
        problems=tuple(p.as_dict(str(file)) for p in ordered),
    )
