"""The pages that are written for readers, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    file
    for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md", "charts/*/README.md")
    for file in ROOT.glob(pattern)
)

_FENCED = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^ {4,}\S.*\n?)+", re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCED.sub("", page.read_text())


def code_lines(page: Path) -> Iterator[str]:
    """The lines of a page's blocks of code, with those that go on in the next one joined."""
    text = page.read_text()
    blocks = [*_FENCED.findall(text), *_INDENTED.findall(_FENCED.sub("", text))]
    for block in blocks:
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())


def inline_code(page: Path) -> Iterator[str]:
    """What stands between backticks in a page's prose, on one line."""
    for text in _INLINE.findall(_INDENTED.sub("", prose(page))):
        yield " ".join(text.split())
