"""The order of the tests' files."""

from __future__ import annotations

from pathlib import Path

from tests.order import LONGEST_FIRST, place

TESTS = Path(__file__).parents[1]


def test_the_long_files_are_there_and_the_quick_ones_fill_the_gaps_at_the_end() -> None:
    long = [TESTS / name for name in LONGEST_FIRST]
    assert [file for file in long if not file.is_file()] == []
    files = sorted([Path(__file__), TESTS / "integration" / "test_access.py", *long], key=place)
    assert files == [*long, TESTS / "integration" / "test_access.py", Path(__file__)]
