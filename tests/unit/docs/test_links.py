"""Every relative link of the documentation leads somewhere, and every page is led to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.docs.pages import PAGES, ROOT, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Each relative link as it is written, the file it names, and the section."""
    for written in LINK.findall(prose(page)):
        if not re.match(r"\w+:", written):
            name, _, section = written.partition("#")
            yield written, (page.parent / name).resolve() if name else page, section


def sections(page: Path) -> set[str]:
    """The names by which GitHub leads to the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for written, file, section in links(page):
        assert file.exists(), written
        if section:
            assert section in sections(file), written


def test_every_page_is_reached_from_the_readme() -> None:
    reached, new = set[Path](), {ROOT / "README.md"}
    while new:
        reached |= new
        named = {file for page in new for _, file, _ in links(page)}
        listed = {file for folder in named for file in folder.glob("**/README.md")}
        new = ((named | listed) & set(PAGES)) - reached
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in reached] == []
