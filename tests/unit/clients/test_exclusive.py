"""One of a kind at a time, and others may look."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from kitestring.clients import exclusive as locks
from kitestring.clients.exclusive import exclusive, is_held
from kitestring.errors import EnforceBusy, EnforceError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "task.lock"


def test_one_holds_it_and_others_are_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_LOOK", 0.05)
    assert not is_held(path)
    with exclusive(path, "task"):
        assert is_held(path)
        with pytest.raises(EnforceBusy, match="another task"), exclusive(path, "task"):
            pytest.fail("two hold it")
        assert is_held(path)
    assert not is_held(path)
    with exclusive(path, "task"):
        pass


def test_a_look_keeps_nobody_from_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    with path.open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(locks, "_LOOK", 60.0)
        waits: list[float] = []

        def ends(seconds: float) -> None:
            waits.append(seconds)
            fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr("time.sleep", ends)
        assert not is_held(path)
        with exclusive(path, "task"):
            assert len(waits) == 1


def test_a_place_that_can_not_be_written_is_told(path: Path) -> None:
    path.parent.write_text("a file")
    with pytest.raises(EnforceError, match="can't be written"), exclusive(path, "task"):
        pytest.fail("there is no lock")
