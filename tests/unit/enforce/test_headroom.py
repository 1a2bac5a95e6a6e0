"""A compaction outside of its window, or without room on the disk, is not started."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kitestring.enforce import compaction, headroom
from kitestring.enforce.compaction import as_actions, compact
from kitestring.enforce.headroom import look
from kitestring.enforce.policy import Need, postponed
from kitestring.errors import DiskHeadroom
from kitestring.model.collection import Segment
from kitestring.spec.models import CompactionPolicy

STORAGE = "storage: {type: local, path: milvus}"
SEGMENTS = [Segment(n, 1, 10, "Flushed") for n in (1, 2, 3, 4)]


@pytest.fixture
def on_disk(spec_from, clean, monkeypatch):
    """A spec of which the segments 1 to 4 of its collection take 4,000 bytes, and `free` bytes."""

    def make(free: int | None = None, more: str = ""):
        loaded = spec_from((STORAGE, f"{STORAGE}\nday2: {{compaction: {{max_segments: 3{more}}}}}"))
        number = clean.collections["docs"].info.id
        root = loaded.file.parent / "milvus"
        for segment in (1, 2, 3, 4, 99):  # 99 was compacted away
            folder = root / f"insert_log/{number}/1/{segment}/100"
            folder.mkdir(parents=True)
            (folder / "7").write_bytes(bytes(1000))
        if free is not None:
            monkeypatch.setattr(headroom.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
        monkeypatch.setattr(compaction, "POLL", 0.0)
        return loaded

    return make


@pytest.fixture
def server(clean, memory):
    info = clean.collections["docs"].info
    return memory(
        {"docs": info}, disk=SEGMENTS, rows=40, compacts_to=[Segment(9, 1, 40, "Flushed")]
    )


@pytest.mark.parametrize("options", [{}, {"force": True}, {"dry_run": True}])
def test_too_little_room_is_refused(on_disk, server, options):
    with pytest.raises(DiskHeadroom, match=r"`docs` needs .* MiB of disk") as error:
        compact(on_disk(free=7999), server, **options)
    assert error.value.subject == "docs"
    assert server.calls == []


def test_enough_room(on_disk, server):
    (done,) = compact(on_disk(free=8000), server)
    assert done.ran
    assert done.as_dict()["headroom"] == {"needed_bytes": 8000, "free_bytes": 8000, "unknown": ""}


def test_the_factor_is_the_spec_s(on_disk, clean):
    loaded = on_disk(more=", headroom: 5")
    found = look(loaded, clean.collections["docs"].info.id, (1, 2))
    assert found.needed == 10_000
    assert found.free is not None
    assert found.enough


def test_what_can_not_be_known_is_said_and_no_refusal(spec_from, server, monkeypatch):
    monkeypatch.setattr(compaction, "POLL", 0.0)
    loaded = spec_from(
        (STORAGE, "storage: {type: s3, bucket: abc}\nday2: {compaction: {max_segments: 3}}")
    )
    heard: list[str] = []
    (done,) = compact(loaded, server, on_event=heard.append)
    assert done.ran
    assert "docs: disk head-room not known: S3 does not tell what is free" in heard[0]
    assert "day2.compaction.volume" in done.as_dict()["headroom"]["unknown"]


def test_a_directory_of_another_host_is_not_known(spec_from, clean):
    found = look(spec_from(), clean.collections["docs"].info.id, (1,))
    assert found.enough
    assert "is not a directory" in found.unknown


def test_outside_of_the_window_nothing_is_started(on_disk, server, monkeypatch):
    monkeypatch.setattr(compaction.time, "strftime", lambda _: "12:00")
    loaded = on_disk(more=', window: "02:00-05:00"')
    (result,) = compact(loaded, server)
    assert not result.ran
    assert result.need.reason == (
        "4 segments, 3 allowed, but 12:00 is outside of the window 02:00-05:00"
    )
    assert as_actions(loaded, [result]) == []
    assert server.calls == []
    (forced,) = compact(loaded, server, force=True)
    assert forced.ran


def test_within_the_window():
    need = Need(True, "4 segments, 3 allowed")
    assert postponed(CompactionPolicy(window="02:00-05:00"), need, "03:00") is need
    assert postponed(CompactionPolicy(), need, "12:00") is need
