"""Files that are written whole: never a device, a pipe or a link replaced by a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kitestring.clients.textfile import require_writable, unwritten, write_pages, write_whole
from kitestring.errors import StoreError


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        require_writable(pipe)
        write_whole(pipe, "report")
        assert os.read(reader, 64) == b"report"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", "new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


def test_a_link_to_nothing_gets_its_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", "new")

    assert (tmp_path / "real").read_text() == "new"


def test_pages_below_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file/checks cannot be written: Not a directory"):
        write_pages(tmp_path / "file", {}, within="checks")


def test_an_error_without_a_number_is_told_by_its_own_words(tmp_path: Path) -> None:
    assert "None" not in unwritten(tmp_path, OSError("the disk is odd")).message
    assert "the disk is odd" in unwritten(tmp_path, OSError("the disk is odd")).message
