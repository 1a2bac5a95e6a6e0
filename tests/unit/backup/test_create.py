"""What a backup holds, what it refuses, and what it leaves behind when it fails."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.verify import verify
from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import (
    BackupDamaged,
    BackupError,
    BackupRefused,
    ManifestUnreadable,
    SegmentUnreadable,
    StoreFull,
    UsageError,
)
from kitestring.spec.backup import Budget
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec


def test_a_backup_holds_rows_definitions_and_labels(server: Any, loaded: LoadedSpec) -> None:
    server.upsert("docs", ["k001"], version=1)
    server.delete("docs", ["k002"])
    made = create_backup(loaded, server)
    docs = made.collections[0]
    assert (docs.digest.rows, docs.aliases, docs.loaded) == (39, ("current",), True)
    assert docs.indexes[0].type == "HNSW"
    assert docs.models == {"words@0": 38, "words@1": 1}
    assert docs.deleted_keys == ("k002",)
    assert open_catalog(loaded).manifest(made.id) == made


def test_writes_after_the_flush_began_are_not_in(server: Any, loaded: LoadedSpec) -> None:
    first = create_backup(loaded, server).collections[0].digest

    def write() -> None:
        server.after_flush = lambda: None
        server.upsert("docs", ["k003", "new"], version=5)
        server.delete("docs", ["k004"])
        server.persist("docs")  # its deletes are in the files that are about to be copied

    server.after_flush = write
    assert create_backup(loaded, server).collections[0].digest == first


def test_a_compaction_that_drops_rows_deleted_later_takes_none_from_the_backup(
    server: Any, loaded: LoadedSpec
) -> None:
    first = create_backup(loaded, server).collections[0].digest

    def compact() -> None:
        server.after_flush = lambda: None
        server.upsert("docs", ["k003"], version=5)
        server.compact("docs")

    server.after_flush = compact
    assert create_backup(loaded, server).collections[0].digest == first


def test_a_row_of_before_the_flush_in_a_segment_of_after_it_is_in(
    server: Any, loaded: LoadedSpec
) -> None:
    at = server.timestamp()
    server.tables["docs"].deletes.append(("k003", at))

    def late() -> None:
        server.after_flush = lambda: None
        server.tables["docs"].growing.append({"key": "k003", "version": 9, "at": at, "row": 7})
        server.persist("docs")

    server.after_flush = late
    docs = create_backup(loaded, server).collections[0]
    assert docs.digest.rows == 40
    assert docs.models == {"words@0": 39, "words@1": 1}


def test_collected_segments_are_found_again_by_another_flush(
    server: Any, loaded: LoadedSpec
) -> None:
    server.upsert("docs", ["k001"], version=1)
    server.persist("docs")
    wanted = server.alive("docs")

    def collect() -> None:
        server.after_flush = lambda: None
        server.compact("docs")
        server.collect("docs")

    server.after_flush = collect
    lines: list[str] = []
    made = create_backup(loaded, server, on_event=lines.append)
    assert made.rows == len(wanted)
    assert any("flushing again" in line for line in lines)


def test_files_that_vanish_every_time_make_no_backup(server: Any, loaded: LoadedSpec) -> None:
    def vanish() -> None:
        server.upsert("docs", ["k001"], version=1)
        server.persist("docs")
        server.compact("docs")
        server.collect("docs")

    server.after_flush = vanish
    with pytest.raises(BackupError, match="kept removing"):
        create_backup(loaded, server)
    assert open_catalog(loaded).summaries() == []


def test_the_second_backup_copies_only_what_is_new(server: Any, loaded: LoadedSpec) -> None:
    first = create_backup(loaded, server)
    again = create_backup(loaded, server)
    assert (again.copied_bytes, again.reused_bytes) == (0, first.bytes)
    server.upsert("docs", ["extra"])
    third = create_backup(loaded, server)
    assert 0 < third.copied_bytes < first.bytes
    assert third.reused_bytes == third.bytes - third.copied_bytes


def test_an_object_written_again_under_its_name_is_not_taken_for_the_old_one(
    server: Any, loaded: LoadedSpec, tmp_path: Path
) -> None:
    first = create_backup(loaded, server)
    source = first.collections[0].segments[0].stats[0].source
    (tmp_path / "milvus" / source).write_bytes(b"STATISTICS")  # the same size
    os.utime(tmp_path / "milvus" / source, (2e9, 2e9))
    second = create_backup(loaded, server)
    assert second.collections[0].segments[0].stats[0].sha256 != (
        first.collections[0].segments[0].stats[0].sha256
    )
    catalog = open_catalog(loaded)
    assert verify(catalog, first.id).passed
    assert verify(catalog, second.id).passed


def test_a_damaged_object_of_the_pool_is_brought_back_by_the_next_backup(
    server: Any, loaded: LoadedSpec, tmp_path: Path, flip: Callable[[Path, int], None]
) -> None:
    first = create_backup(loaded, server)
    stored = first.collections[0].segments[0].insert[3]
    flip(tmp_path / "backups" / stored.key, 999)
    catalog = open_catalog(loaded)
    with pytest.raises(BackupDamaged):
        verify(catalog, first.id).raise_if_damaged()
    create_backup(loaded, server)
    assert verify(catalog, first.id).passed


@pytest.mark.parametrize("names", [["nope"], ["docs", "nope"]])
def test_an_absent_collection_is_refused_by_name(
    server: Any, loaded: LoadedSpec, names: list[str]
) -> None:
    with pytest.raises(BackupRefused, match="`nope`"):
        create_backup(loaded, server, collections=names)
    assert not loaded.resolve("backups").exists()


def test_collections_of_the_spec_that_are_absent_are_refused(
    server: Any, loaded: LoadedSpec
) -> None:
    loaded.file.write_text(
        loaded.file.read_text()
        + "models: [{provider: hashing, name: w, version: '1', dimension: 4}]\n"
        + "collections:\n"
        + "".join(
            f"  - name: {name}\n    model: w@1\n"
            "    indexes: [{field: embedding, type: FLAT, metric: L2}]\n"
            for name in ("docs", "gone")
        )
    )
    with pytest.raises(BackupRefused, match="`gone`"):
        create_backup(load(loaded.file), server)


def test_what_is_left_out_is_named(server: Any, loaded: LoadedSpec) -> None:
    server.create_collection("other", server.describe("docs").schema)
    made = create_backup(loaded, server, collections=["current"])
    assert made.excluded == ("other", "users, roles and grants")


def test_a_wrong_root_path_is_refused(server: Any, loaded: LoadedSpec, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    loaded.file.write_text(loaded.file.read_text().replace("path: milvus", "path: elsewhere"))
    with pytest.raises(BackupRefused, match="no files below"):
        create_backup(load(loaded.file), server)
    assert open_catalog(loaded).summaries() == []


@pytest.mark.parametrize("skew", [-120_000, 120_000])
def test_clocks_that_differ_are_refused(server: Any, loaded: LoadedSpec, skew: int) -> None:
    server.skew = skew
    with pytest.raises(BackupRefused, match="clock"):
        create_backup(loaded, server)


def test_a_lost_log_of_a_segment_is_no_backup(
    server: Any, loaded: LoadedSpec, tmp_path: Path
) -> None:
    lost = next((tmp_path / "milvus/insert_log").glob("*/*/*/102/*"))
    lost.unlink()
    with pytest.raises(SegmentUnreadable, match="`text`"):
        create_backup(loaded, server)
    assert open_catalog(loaded).summaries() == []


def test_fewer_rows_in_the_files_than_the_server_says_is_no_backup(
    server: Any, loaded: LoadedSpec
) -> None:
    segment = server.tables["docs"].segments[0]
    segment.rows = segment.rows + segment.rows[:1]
    with pytest.raises(BackupError, match="40 rows, but the server says it has 41"):
        create_backup(loaded, server)


@pytest.mark.parametrize("at", ["pool", "backups/", "locks/"])
def test_a_full_store_leaves_no_half_backup(
    server: Any, loaded: LoadedSpec, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    store = MemoryStore()
    monkeypatch.setattr("kitestring.backup.create.open_catalog", lambda _: Catalog(store))

    def full(operation: str, key: str) -> None:
        if operation == "put" and key.startswith(at):
            raise StoreFull("no space is left")

    store.before = full
    with pytest.raises(StoreFull):
        create_backup(loaded, server)
    store.before = lambda operation, key: None
    assert Catalog(store).summaries() == []
    assert create_backup(loaded, server).rows == 40


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_really_full_disk_is_said_so(server: Any, loaded: LoadedSpec, tmp_path: Path) -> None:
    small = tmp_path / "backups"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(StoreFull, match="no space is left"):
            create_backup(loaded, server)
        assert open_catalog(loaded).summaries() == []
        assert not list((small / ".kitestring-partial").glob("*"))
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("operation", ["pool", "backups/"])
def test_an_interrupt_leaves_no_backup_and_no_lock(
    server: Any, loaded: LoadedSpec, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    store = MemoryStore()
    monkeypatch.setattr("kitestring.backup.create.open_catalog", lambda _: Catalog(store))

    def stop(done: str, key: str) -> None:
        if done == "put" and key.startswith(operation):
            raise KeyboardInterrupt

    store.before = stop
    with pytest.raises(KeyboardInterrupt):
        create_backup(loaded, server)
    store.before = lambda operation, key: None
    assert Catalog(store).summaries() == []
    assert not list(store.list("locks/"))


def test_a_crash_between_manifest_and_summary_loses_nothing(
    server: Any, loaded: LoadedSpec, tmp_path: Path
) -> None:
    made = create_backup(loaded, server)
    (tmp_path / "backups/backups" / made.id / "summary.json").unlink()
    catalog = open_catalog(loaded)
    assert not catalog.summaries()[0].readable
    with pytest.raises(ManifestUnreadable, match="summary is missing"):
        catalog.manifest(made.id)
    create_backup(loaded, server)
    assert catalog.manifest(made.id) == made


def test_remains_of_a_killed_run_are_swept(server: Any, loaded: LoadedSpec, tmp_path: Path) -> None:
    remains = tmp_path / "backups/backups/20250101T000000Z-abcdef/notes"
    remains.parent.mkdir(parents=True)
    remains.write_text("x")
    lines: list[str] = []
    create_backup(loaded, server, on_event=lines.append)
    assert not remains.parent.exists()
    assert any("20250101T000000Z-abcdef" in line for line in lines)
    assert len(open_catalog(loaded).summaries()) == 1


def test_the_pool_holds_what_the_manifest_names_and_nothing_else(
    server: Any, loaded: LoadedSpec
) -> None:
    made = create_backup(loaded, server)
    listed = {i.key: i.size for i in LocalStore(loaded.resolve("backups")).list("pool/")}
    stored = {o.key: o.size for s in made.collections[0].segments for o in s.objects}
    assert listed == stored


def test_what_an_older_backup_has_is_not_copied_again(server: Any, loaded: LoadedSpec) -> None:
    server.create_collection("other", server.describe("docs").schema)
    server.upsert("other", ["a", "b"])
    first = create_backup(loaded, server)
    create_backup(loaded, server, collections=["other"])
    reads: list[str] = []
    third = create_backup(loaded, server, on_event=reads.append)
    assert (third.copied_bytes, third.reused_bytes) == (0, first.bytes)
    assert [c.digest for c in third.collections] == [c.digest for c in first.collections]


def test_segments_that_did_not_change_are_not_read_again(
    server: Any, loaded: LoadedSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    monkeypatch.setattr("kitestring.backup.create.open_catalog", lambda _: Catalog(store))
    ids = (f"20250101T0000{n:02d}Z-abcdef" for n in range(60))  # of one second, they sort at random
    monkeypatch.setattr("kitestring.backup.session.new_backup_id", lambda _: next(ids))
    first = create_backup(loaded, server)
    assert (first.read_back, Catalog(store).summaries()[0].verified_tier) == ("all", "full")
    server.upsert("docs", ["extra", "k003"], version=1)
    read: set[str] = set()
    store.before = lambda operation, key: read.add(key) if operation == "get" else None
    second = create_backup(loaded, server)
    old = {o.key for s in first.collections[0].segments for o in s.insert}
    assert second.collections[0].digest.rows == 41
    changed = next(s for s in second.collections[0].segments if s.delta)  # k003 was deleted in it
    assert read & old <= {o.key for o in changed.insert}
    third = create_backup(loaded, server)
    read.clear()
    fourth = create_backup(loaded, server)
    assert not {key for key in read if key.startswith("pool/")}
    assert third.collections[0].digest == fourth.collections[0].digest
    assert fourth.collections[0].models == third.collections[0].models
    assert Catalog(store).summaries()[0].verified_tier == "list"
    whole = create_backup(loaded, server, read_back="all")
    assert {o.key for o in whole.collections[0].objects} <= read
    assert whole.collections[0].digest == fourth.collections[0].digest


def test_keys_alone_are_read_where_that_is_wanted(server: Any, loaded: LoadedSpec) -> None:
    server.upsert("docs", ["k001"], version=1)
    server.delete("docs", ["k002"])
    made = create_backup(loaded, server, read_back="keys").collections[0]
    assert made.digest.content == ""
    whole = create_backup(loaded, server, read_back="all").collections[0]
    assert (made.digest.rows, made.digest.keys) == (whole.digest.rows, whole.digest.keys)
    assert (made.models, made.deleted_keys) == (whole.models, whole.deleted_keys)
    catalog = open_catalog(loaded)
    assert all(verify(catalog, s.id).passed for s in catalog.summaries())
    # the digest of the content is made up for by a backup that reads it
    assert create_backup(loaded, server).collections[0].digest == whole.digest


def test_keys_that_come_back_are_no_deleted_ones(server: Any, loaded: LoadedSpec) -> None:
    server.delete("docs", ["k002", "k005"])
    assert create_backup(loaded, server).collections[0].deleted_keys == ("k002", "k005")
    server.upsert("docs", ["k002"], version=1)
    assert create_backup(loaded, server).collections[0].deleted_keys == ("k005",)
    server.delete("docs", ["k007"])
    assert create_backup(loaded, server).collections[0].deleted_keys == ("k005", "k007")


def test_a_clock_that_was_set_back_is_said(server: Any, loaded: LoadedSpec) -> None:
    server.skew = 50_000
    create_backup(loaded, server)
    server.skew = 0
    lines: list[str] = []
    create_backup(loaded, server, on_event=lines.append)
    assert any("clock was set back" in line for line in lines)


def test_a_budget_is_kept(server: Any, loaded: LoadedSpec) -> None:
    began = time.monotonic()
    made = create_backup(loaded, server, budget=Budget(max_bytes_per_second=20_000))
    assert time.monotonic() - began > made.bytes / 20_000 * 0.85


def test_a_lost_object_is_brought_back_by_the_next_backup(
    server: Any, loaded: LoadedSpec, tmp_path: Path
) -> None:
    first = create_backup(loaded, server)
    objects = first.collections[0].objects
    (tmp_path / "backups" / objects[0].key).unlink()
    (tmp_path / "backups" / objects[1].key).write_bytes(b"short")
    create_backup(loaded, server)
    assert verify(open_catalog(loaded), first.id).passed


@pytest.mark.parametrize("names", [[], [""], ["docs", " "]])
def test_no_name_of_a_collection_is_wrong_usage(
    server: Any, loaded: LoadedSpec, names: list[str]
) -> None:
    with pytest.raises(UsageError, match="no collection is named"):
        create_backup(loaded, server, collections=names)
