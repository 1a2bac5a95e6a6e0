"""The reference page of the verbs, as `make docs` makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kitestring.cli import VERBS

COMMITTED = Path(__file__).parents[3] / "docs/reference/commands.md"


@pytest.fixture(scope="module")
def page() -> str:
    """Made in a process of its own: commands keep the help option that they first had."""
    made = [sys.executable, "-m", "kitestring.cli.reference"]
    return subprocess.run(made, capture_output=True, text=True, check=True).stdout


def test_the_committed_page_is_fresh(page: str) -> None:
    assert COMMITTED.read_text() == page, "run: make docs"


def test_every_verb_is_there_with_its_options(page: str) -> None:
    for verb in VERBS:
        assert f"\n## kitestring {verb}\n" in page
    create = page.split("\n## kitestring backup create\n")[1].split("\n## ")[0]
    assert "Usage: kitestring backup create [OPTIONS]" in create
    assert "--max-bytes-per-second" in create
    assert "-h, --help" in create
