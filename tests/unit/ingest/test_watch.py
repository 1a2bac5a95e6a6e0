from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.errors import (
    AuthenticationFailed,
    KitestringError,
    ServerUnreachable,
    UsageError,
)
from kitestring.ingest.watch import FIRST_PAUSE, PARKED_PAUSE, Watch
from kitestring.model.ingest import FailedDocument, IngestReport

REPORT = IngestReport("c", "t", "m@1", "f", 0, 0, 0, 0, 0, 0, 0, 0.0)


class Over(Exception):
    """The script of a test is at its end."""


class Story:
    """A watch whose sleeps are the steps of a script, and whose passes are noted."""

    def __init__(self, folder: Path, *steps: Callable[[], object]) -> None:
        self.steps = list(steps)
        self.passes: list[set[str]] = []  # the documents known to be unchanged
        self.told: list[str] = []
        self.errors: list[KitestringError] = []
        self.failed: set[str] = set()
        self.now = 0.0
        self.slept: list[float] = []
        self.watch = Watch(
            [folder], self.one_pass, self.told.append, lambda _: None,
            sleep=self.sleep, clock=lambda: self.now,
        )  # fmt: skip

    def one_pass(self, unchanged: Collection[str]) -> IngestReport:
        if self.errors:
            raise self.errors.pop(0)
        self.passes.append(set(unchanged))
        return replace(REPORT, failed=tuple(FailedDocument(d, "broken") for d in self.failed))

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if not self.steps:
            raise Over
        self.steps.pop(0)()

    def run(self) -> None:
        with pytest.raises(Over):
            self.watch.run()


def nothing() -> None:
    """A step in which nothing happens."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "d"
    path.mkdir()
    (path / "a.md").write_text("a")
    (path / "b.md").write_text("b")
    return path


def test_a_pass_begins_when_a_change_has_settled(folder: Path) -> None:
    story = Story(
        folder,
        nothing,
        lambda: (folder / "c.md").write_text("c"),
        lambda: (folder / "c.md").write_text("more of it"),
        nothing,
        nothing,
        lambda: (folder / "a.md").unlink(),
        nothing,
        lambda: (folder / "ignored.png").write_text("x"),
        nothing,
    )
    story.run()
    assert story.passes == [set(), {"a.md", "b.md"}, {"b.md", "c.md"}]
    assert story.told == []


def test_a_server_that_is_away_is_waited_for(folder: Path) -> None:
    story = Story(folder, lambda: (folder / "c.md").write_text("c"), nothing, nothing, nothing)

    def fail_next(_: object = None) -> None:
        story.errors += [ServerUnreachable("no Milvus answers")] * 2

    story.steps.insert(0, fail_next)
    story.run()
    assert story.passes == [set(), {"a.md", "b.md"}]
    assert [line.split(";")[0] for line in story.told] == ["no pass: no Milvus answers"] * 2
    assert story.slept[3:5] == [FIRST_PAUSE, 2 * FIRST_PAUSE]


@pytest.mark.parametrize(
    ("at_first", "error"),
    [(True, ServerUnreachable("away")), (False, AuthenticationFailed("no"))],
)
def test_mistakes_of_the_call_end_the_watch(
    folder: Path, at_first: bool, error: KitestringError
) -> None:
    story = Story(folder, lambda: (folder / "c.md").write_text("c"), nothing, nothing)
    if at_first:
        story.errors = [error]
    else:
        story.steps.insert(0, lambda: story.errors.append(error))
    with pytest.raises(type(error)):
        story.watch.run()


def test_what_was_parked_is_tried_again_after_a_while(folder: Path) -> None:
    story = Story(folder, *[nothing] * int(PARKED_PAUSE / 2 + 2))
    story.failed = {"b.md"}
    story.run()
    assert story.passes == [set(), {"a.md"}]


def test_an_empty_folder_removes_nothing_unless_it_is_the_one_that_was_followed(
    folder: Path, tmp_path: Path
) -> None:
    def unmount() -> None:
        folder.rename(tmp_path / "kept")
        folder.mkdir()

    def mount() -> None:
        folder.rmdir()
        (tmp_path / "kept").rename(folder)

    def empty() -> None:
        for file in folder.glob("*.md"):
            file.unlink()

    story = Story(folder, unmount, nothing, nothing, mount, nothing, nothing, empty, nothing)
    story.run()
    assert len(story.passes) == 2  # the first, and that of the folder that was emptied
    assert len(story.told) == 1
    assert "is another directory now, and empty; what is stored stays" in story.told[0]


def test_a_folder_that_is_empty_at_first_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    story = Story(folder, nothing, nothing, lambda: (folder / "a.md").write_text("a"), nothing)
    story.run()
    assert story.passes == [set()]
    assert story.told == ["no pass: there are no documents yet"]


def test_only_directories_are_followed(folder: Path) -> None:
    for path in (folder / "a.md", folder / "nothing"):
        with pytest.raises(UsageError, match="is no directory"):
            Story(path).watch.run()
