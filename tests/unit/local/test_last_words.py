"""What of a server's log is worth a user's time."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.local.process import CONSOLE_LOG, last_words

STAMP = "[2024/01/02 03:04:05.{n:03} +00:00]"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / CONSOLE_LOG
    file.parent.mkdir()
    return file


def test_grave_lines_without_their_stacks_and_repetitions(log: Path) -> None:
    lines = [f"{STAMP.format(n=n)} [INFO] [a.go:1] [fine]" for n in range(50)]
    lines += [
        f'{STAMP.format(n=n)} [ERROR] [b.go:2] ["no etcd"] [stack="main\\n\\tx"]' for n in range(9)
    ]
    lines += ["panic: cannot listen", "goroutine 1 [running]:", "main.main()"]
    log.write_text("\n".join(lines))
    assert last_words(log.parent.parent) == [
        f'{STAMP.format(n=8)} [ERROR] [b.go:2] ["no etcd"]',
        "panic: cannot listen",
    ]


def test_without_grave_lines_the_last_ones(log: Path) -> None:
    log.write_text("\n".join(f"line {n}" for n in range(20)))
    assert last_words(log.parent.parent) == [f"line {n}" for n in range(12, 20)]


def test_a_former_run_is_not_looked_at(log: Path) -> None:
    log.write_text("panic: yesterday\n")
    before = {log: log.stat().st_size}
    with log.open("a") as file:
        file.write("panic: today\n")
    assert last_words(log.parent.parent, before) == ["panic: today"]


def test_no_log_at_all(tmp_path: Path) -> None:
    assert last_words(tmp_path) == []
