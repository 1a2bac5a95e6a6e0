"""Backups as text, and the names that `restore` takes."""

from __future__ import annotations

import pytest

from kitestring.cli.restore import parse_renames
from kitestring.errors import UsageError
from kitestring.model.backup import BackupSummary
from kitestring.render.backup import bytes_as_text, summaries_as_text, time_as_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (9_310_555, "9.3 MB"), (5e15, "5000.0 TB")],
)
def test_sizes(size: int, text: str) -> None:
    assert bytes_as_text(size) == text


def test_times() -> None:
    assert time_as_text(1_700_000_000_000) == "2023-11-14 22:13:20Z"
    assert time_as_text(None) == "-"


def test_what_can_not_be_read_is_in_the_list_with_its_reason() -> None:
    broken = BackupSummary(
        "b1", "", "", 0, 0, "", (), 0, 0, 0, "", readable=False, problem="its manifest is missing"
    )
    text = summaries_as_text([broken])
    assert "can't be read" in text
    assert "b1: its manifest is missing" in text
    assert summaries_as_text([]) == "no backups"


def test_renames() -> None:
    assert parse_renames(("a=b", "c=d")) == {"a": "b", "c": "d"}
    for wrong in (("a",), ("=b",), ("a=",), ("a=b", "a=c")):
        with pytest.raises(UsageError):
            parse_renames(wrong)
