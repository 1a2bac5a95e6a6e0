"""Logical backups of a server that keeps its segments in files: whole, incremental, alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitestring.backup.catalog import open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.logical import before as building
from kitestring.backup.logical.create import create_logical
from kitestring.backup.logical.part import Part
from kitestring.backup.logical.rows import read_rows
from kitestring.backup.pool import PoolReader
from kitestring.backup.verify import verify
from kitestring.clients.store.local import LocalStore
from kitestring.errors import BackupRefused, StoreFull, UsageError
from kitestring.model.backup import BackupManifest
from kitestring.model.digest import digest_batches
from kitestring.spec.loaded import LoadedSpec


@pytest.fixture(autouse=True)
def _no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitestring.backup.plan._TICK", 0.0)


def rows_of(loaded: LoadedSpec, manifest: BackupManifest) -> dict[str, Any]:
    """Key -> version, as the Parquet files say; each key once."""
    docs = manifest.collections[0]
    reader = PoolReader(open_catalog(loaded).store, docs.objects)
    batches = list(read_rows(reader, docs))
    assert digest_batches("id", batches) == docs.digest
    pairs = [(r["id"], r["$meta"]) for b in batches for r in b.to_pylist()]
    assert len(dict(pairs)) == len(pairs)
    return {key: int(meta.decode().split(":")[1].strip(" }")) for key, meta in pairs}


def test_the_digest_is_that_of_a_physical_backup(server: Any, loaded: LoadedSpec) -> None:
    server.upsert("docs", ["k001"], version=1)
    server.delete("docs", ["k002"])
    made = create_logical(loaded, server)
    docs, physical = made.collections[0], create_backup(loaded, server).collections[0]
    assert (made.method, docs.read_by, docs.segments) == ("logical", "segments", ())
    assert docs.digest == physical.digest
    assert docs.models == physical.models == {"words@0": 38, "words@1": 1}
    assert docs.deleted_keys == ("k002",)
    assert rows_of(loaded, made) == server.alive("docs")
    assert open_catalog(loaded).manifest(made.id) == made
    assert verify(open_catalog(loaded), made.id, tier="full").passed


def test_writes_after_the_boundary_are_not_in(server: Any, loaded: LoadedSpec) -> None:
    first = create_logical(loaded, server).collections[0].digest

    def write() -> None:
        server.after_flush = lambda: None
        server.upsert("docs", ["k003", "new"], version=5)
        server.delete("docs", ["k004"])
        server.persist("docs")

    server.after_flush = write
    assert create_logical(loaded, server).collections[0].digest == first


def test_only_what_changed_is_written_and_each_backup_is_whole(
    server: Any, loaded: LoadedSpec
) -> None:
    server.upsert("docs", [f"m{i:05d}" for i in range(5000)])
    first = create_logical(loaded, server)
    before = rows_of(loaded, first)
    assert (first.copied_bytes, first.reused_bytes) == (first.bytes, 0)
    same = create_logical(loaded, server)
    assert (same.copied_bytes, same.collections[0].parts) == (0, first.collections[0].parts)

    changed = [f"m{i:05d}" for i in range(0, 5000, 100)]
    server.upsert("docs", changed, version=1)
    server.delete("docs", ["m00001", "m00002"])
    server.compact("docs")  # other segments, the same rows
    after = create_logical(loaded, server)
    assert after.copied_bytes < 0.1 * after.bytes
    assert rows_of(loaded, after) == server.alive("docs")
    assert rows_of(loaded, first) == before
    assert after.collections[0].models == {"words@0": 4988, "words@1": 50}
    assert {"m00001", "m00002"} <= set(after.collections[0].deleted_keys)
    assert not set(changed) & set(after.collections[0].deleted_keys)
    for made in (first, same, after):
        assert verify(open_catalog(loaded), made.id, tier="full").passed


def test_files_that_have_lost_many_rows_are_written_anew(server: Any, loaded: LoadedSpec) -> None:
    first = create_logical(loaded, server)
    server.delete("docs", [f"k{i:03d}" for i in range(30)])
    after = create_logical(loaded, server)
    (part,) = after.collections[0].parts
    assert (part.rows, part.written, part.gone) == (10, 10, None)
    assert part.object != first.collections[0].parts[0].object
    assert rows_of(loaded, after) == server.alive("docs")


def test_many_small_files_are_put_together(
    server: Any, loaded: LoadedSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_SMALL", 3)
    made = None
    for n in range(6):
        server.upsert("docs", [f"new{n}"])
        made = create_logical(loaded, server)
    assert made is not None
    assert len(made.collections[0].parts) <= 5
    assert rows_of(loaded, made) == server.alive("docs")


def test_an_object_that_is_gone_is_made_anew(server: Any, loaded: LoadedSpec) -> None:
    first = create_logical(loaded, server)
    store = open_catalog(loaded).store
    store.delete(first.collections[0].parts[0].object.key)
    lines: list[str] = []
    again = create_logical(loaded, server, on_event=lines.append)
    assert any("is not taken over" in line for line in lines)
    assert rows_of(loaded, again) == server.alive("docs")


def test_a_flipped_index_is_found_and_not_believed(
    server: Any, loaded: LoadedSpec, flip: Callable[[Path, int], None]
) -> None:
    first = create_logical(loaded, server)
    index = first.collections[0].parts[0].index
    assert index is not None
    flip(loaded.resolve("backups") / index.key, 800)
    assert not verify(open_catalog(loaded), first.id, tier="full").passed
    again = create_logical(loaded, server)
    assert rows_of(loaded, again) == server.alive("docs")
    for made in (again, first):  # a file of the same content has the same name: it is mended
        assert verify(open_catalog(loaded), made.id, tier="full").passed
    assert create_logical(loaded, server).copied_bytes == 0


def test_a_filter_takes_part_of_the_rows_and_says_so(server: Any, loaded: LoadedSpec) -> None:
    made = create_logical(loaded, server, part=Part('id like "k00%"'))
    assert sorted(rows_of(loaded, made)) == [f"k00{i}" for i in range(10)]
    assert made.collections[0].filter == 'id like "k00%"'
    whole = create_logical(loaded, server)  # the ones that are there are taken over
    assert whole.collections[0].digest.rows == 40
    assert whole.reused_bytes > 0
    with pytest.raises(UsageError, match="no field `nothing`"):
        create_logical(loaded, server, part=Part("nothing == 1"))
    with pytest.raises(BackupRefused, match="no partition `other`"):
        create_logical(loaded, server, part=Part("", ("other",)))


def test_another_schema_takes_nothing_over(server: Any, loaded: LoadedSpec) -> None:
    create_logical(loaded, server)
    table = server.table("docs")
    fields = table.info.schema.fields
    longer = (*fields[:2], replace(fields[2], max_length=500), *fields[3:])
    table.info = replace(table.info, schema=replace(table.info.schema, fields=longer))
    lines: list[str] = []
    again = create_logical(loaded, server, on_event=lines.append)
    assert again.reused_bytes == 0
    assert any("schema has changed" in line for line in lines)


def test_an_empty_collection_and_one_that_is_emptied(server: Any, loaded: LoadedSpec) -> None:
    server.delete("docs", [f"k{i:03d}" for i in range(40)])
    made = create_logical(loaded, server)
    assert (made.collections[0].digest.rows, made.collections[0].parts) == (0, ())
    server.upsert("docs", ["a"])
    create_logical(loaded, server)
    server.delete("docs", ["a"])
    assert rows_of(loaded, create_logical(loaded, server)) == {}


def test_a_run_that_fails_leaves_no_backup_and_the_next_sweeps(
    server: Any, loaded: LoadedSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = LocalStore.put

    def full(self: LocalStore, key: str, data: Any) -> None:
        if key.endswith(".index.parquet"):
            raise StoreFull("no space is left")
        put(self, key, data)

    monkeypatch.setattr(LocalStore, "put", full)
    with pytest.raises(StoreFull):
        create_logical(loaded, server)
    catalog = open_catalog(loaded)
    assert list(catalog.summaries()) == []
    monkeypatch.setattr(LocalStore, "put", put)
    server.upsert("docs", ["later"])  # so that its file is another one
    made = create_logical(loaded, server)
    there = {i.key for i in catalog.store.list("pool/")}
    assert there == {o.key for c in made.collections for o in c.objects}
