"""Reads a Dockerfile as far as tests need it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """From one FROM to the next."""

    base: str
    name: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)  # (instruction, rest of the line)

    def of(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]

    @property
    def env(self) -> dict[str, str]:
        pairs = (part.partition("=") for rest in self.of("ENV") for part in shlex.split(rest))
        return {name: value for name, _, value in pairs}


def stages(text: str) -> list[Stage]:
    """The stages of a Dockerfile; ARGs with a default are put in where FROM names them."""
    found: list[Stage] = []
    defaults: dict[str, str] = {}
    for instruction, rest in _instructions(text):
        if instruction == "FROM":
            image, _, name = rest.partition(" AS ")
            base = re.sub(r"\$\{(\w+)\}", lambda m: defaults[m.group(1)], image)
            found.append(Stage(base, name.strip()))
        elif not found:
            name, _, value = rest.partition("=")
            defaults[name] = value
        else:
            found[-1].steps.append((instruction, rest))
    return found


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    for line in joined.splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def ignored(path: Path, root: Path) -> bool:
    """Whether .dockerignore keeps a path out; the last pattern that fits decides."""
    relative = path.relative_to(root)
    out = False
    for line in (root / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep, pattern = pattern.startswith("!"), pattern.removeprefix("!")
        fits = pattern == "*" or any(
            part.match(pattern) for part in (relative, *relative.parents) if part != Path()
        )
        if fits:
            out = not keep
    return out
