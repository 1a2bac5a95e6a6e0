from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.errors import IngestError
from kitestring.ingest.deadletter import dead_letters, read_letters


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "dead-letters" / "c.jsonl"


def test_attempts_count_on_and_what_succeeded_is_removed(file: Path) -> None:
    with dead_letters(file) as letters:
        letters.park("t", "a.md", 3, "no answer")
        letters.park("t", "a.md", 1, "no answer")
        letters.park("t", "b.pdf", None, "broken", hint="mend it")
    first = read_letters(file)
    assert [(x.what, x.attempts) for x in first] == [("a.md#1", 1), ("a.md#3", 1), ("b.pdf", 1)]
    with dead_letters(file) as letters:
        letters.park("t", "a.md", 3, "refused")
        letters.clear("t", "a.md")  # parked in this run: it stays
        assert letters.documents == {"a.md"}
    second = read_letters(file)
    assert [(x.what, x.reason, x.attempts) for x in second] == [
        ("a.md#3", "refused", 2),
        ("b.pdf", "broken", 1),
    ]
    assert second[0].first_at == first[1].first_at
    with dead_letters(file) as letters:
        letters.clear("t", "a.md")
        letters.clear("t", "b.pdf")
    assert not file.exists()


def test_another_tenants_letters_stay(file: Path) -> None:
    with dead_letters(file) as letters:
        letters.park("one", "a.md", 1, "x")
        letters.park("two", "a.md", 1, "x")
    with dead_letters(file) as letters:
        letters.clear("one", "a.md")
    assert [x.tenant for x in read_letters(file)] == ["two"]


def test_a_run_that_fails_leaves_what_it_parked(file: Path) -> None:
    def run() -> None:
        with dead_letters(file) as letters:
            letters.park("t", "a.md", 1, "x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run()
    assert len(read_letters(file)) == 1


def test_letters_of_files_that_are_gone_go_too(file: Path, tmp_path: Path) -> None:
    here, gone, elsewhere = tmp_path / "d/a.md", tmp_path / "d/b.md", tmp_path / "e/c.md"
    here.parent.mkdir()
    here.touch()
    broken = tmp_path / "d/l.md"
    broken.symlink_to("nowhere")
    with dead_letters(file) as letters:
        for path in (here, gone, elsewhere, broken):
            letters.park("t", path.name, None, "x", path=path)
    with dead_letters(file) as letters:
        letters.drop_missing("t", [tmp_path / "d"])
    assert [x.document for x in read_letters(file)] == ["a.md", "c.md", "l.md"]


def test_a_damaged_file_is_named_with_its_line(file: Path) -> None:
    with dead_letters(file) as letters:
        letters.park("t", "a.md", 1, "x")
    file.write_text(file.read_text() + '{"tenant": 1}\n')
    with pytest.raises(IngestError, match=r"c\.jsonl:2: no dead letter"), dead_letters(file):
        pass


def test_any_reason_can_be_read_again(file: Path) -> None:
    reason = "HTTP 400: one\u2028two\x85three\x0bfour"
    with dead_letters(file) as letters:
        letters.park("t", "a.md", 1, reason)
        letters.park("t", "b.md", 1, reason)
    assert [x.reason for x in read_letters(file)] == [reason, reason]
