"""The binaries are unpacked once, whole, and by one process."""

from __future__ import annotations

import importlib.util
import lzma
import os
import threading
from pathlib import Path

import pytest

from kitestring.errors import LocalError
from kitestring.local import wheel
from kitestring.local.guard import disk_errors, locked
from kitestring.local.wheel import Wheel, find_wheel, unpacked

FILES = {"milvus": b"server" * 5000, "libone.so": b"one" * 1000}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A wheel of two small files, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data" / "bin").mkdir(parents=True)
    for name, content in FILES.items():
        (tmp_path / "data" / "bin" / f"{name}.lzma").write_bytes(lzma.compress(content))
    return Wheel("9.9", tmp_path / "data")


def test_all_files_are_there_and_executable(tiny: Wheel) -> None:
    target = unpacked(tiny)
    for name, content in FILES.items():
        assert (target / name).read_bytes() == content
        assert os.access(target / name, os.X_OK)


def test_a_second_call_does_nothing(tiny: Wheel) -> None:
    before = (unpacked(tiny) / "milvus").stat()
    after = (unpacked(tiny) / "milvus").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_cache_that_is_not_whole_is_made_anew(tiny: Wheel, damage: str) -> None:
    library = unpacked(tiny) / "libone.so"
    if damage == "gone":
        library.unlink()
    else:
        library.write_bytes(b"on")
    assert (unpacked(tiny) / "libone.so").read_bytes() == FILES["libone.so"]


def test_what_a_killed_process_left_is_removed(tiny: Wheel) -> None:
    leftover = wheel.cache_dir() / "milvus-9.9" / "unpacking-1"
    leftover.mkdir(parents=True)
    unpacked(tiny)
    assert not leftover.exists()


def test_a_damaged_archive_is_named_and_nothing_is_left(tiny: Wheel) -> None:
    archive = tiny.data / "bin" / "libone.so.lzma"
    archive.write_bytes(archive.read_bytes()[:40])
    with pytest.raises(LocalError, match=r"libone\.so\.lzma is damaged"):
        unpacked(tiny)
    assert [p.name for p in (wheel.cache_dir() / "milvus-9.9").iterdir()] == ["lock"]


def test_two_at_once_unpack_once(tiny: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    unpack = wheel._unpack
    both = threading.Barrier(2)

    def counted(*arguments: object) -> None:
        calls.append(1)
        unpack(*arguments)  # type: ignore[arg-type]

    def one() -> None:
        both.wait()
        unpacked(tiny)

    monkeypatch.setattr(wheel, "_unpack", counted)
    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def test_a_wheel_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(LocalError, match="not installed") as caught:
        find_wheel()
    assert caught.value.hint == "pip install 'kitestring[local]'"


def test_another_platform_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel.sys, "platform", "win32")
    with pytest.raises(LocalError, match="does not run on win32"):
        find_wheel()


def test_a_lock_that_another_holds_is_told(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock", timeout=0, busy="the thing is used"),
        pytest.raises(LocalError, match="the thing is used by another process"),
        locked(tmp_path / "lock", timeout=0, busy="the thing is used"),
    ):
        pass


@pytest.mark.parametrize(
    ("number", "words"), [(28, "no space is left for /d"), (13, "/d can't be written")]
)
def test_disk_faults_are_told_in_words(number: int, words: str) -> None:
    with pytest.raises(LocalError, match=words), disk_errors(Path("/d")):
        raise OSError(number, os.strerror(number))
