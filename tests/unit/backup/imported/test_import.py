"""Backups made by milvus-backup in the catalog: whole, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.backup.catalog import open_catalog
from kitestring.backup.imported.folder import open_folder
from kitestring.backup.imported.run import Imported, import_backup
from kitestring.backup.verify import verify
from kitestring.clients.store.local import LocalStore
from kitestring.errors import ImportRefused, KitestringError, SegmentUnreadable, UsageError
from kitestring.model.access import Privilege
from kitestring.model.collection import Index
from kitestring.spec.loaded import LoadedSpec

Change = Callable[[str, Callable[[dict[str, Any]], None]], None]
LEVELS = ["backup_meta.json", "collection_meta.json", "partition_meta.json", "segment_meta.json"]


def imported(loaded: LoadedSpec, folder: Path, **options: Any) -> Imported:
    return import_backup(loaded, LocalStore(folder, create=False), **options)


def content(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def refused(loaded: LoadedSpec, folder: Path, *words: str) -> None:
    """The import is refused with those words, and the store is as it was before."""
    store = loaded.resolve("backups")
    before = content(store)
    with pytest.raises(KitestringError) as error:
        imported(loaded, folder)
    assert isinstance(error.value, ImportRefused | SegmentUnreadable)
    for word in words:
        assert word in error.value.message
    assert content(store) == before


def test_the_sample_is_taken_over_whole(loaded: LoadedSpec, backup: Path) -> None:
    before = content(backup)
    manifest = imported(loaded, backup).manifest
    assert content(backup) == before
    assert manifest.origin == "milvus-backup backup_demo 4737ea04-2627-11ee-b762-fae12e85633c"
    assert (manifest.cluster, manifest.method, manifest.database) == ("unit", "physical", "default")
    assert manifest.server_version == "07ab9c6"
    assert manifest.boundary == 1689766065_000
    assert manifest.id.startswith("20230719T112743Z-")
    first, second = manifest.collections
    assert (first.name, first.digest.rows) == ("hello_milvus", 2990)
    assert (second.name, second.digest.rows, len(second.segments)) == ("hello_milvus2", 6000, 2)
    assert [f.name for f in first.schema.fields] == ["pk", "random", "var", "embeddings"]
    assert first.schema.primary.type == "INT64"
    assert first.schema.vectors[0].dim == 8
    assert first.indexes == (
        Index("_default_idx_103", "embeddings", "IVF_FLAT", "L2", {"nlist": "128"}),
    )
    assert first.consistency == "Strong"
    assert not first.loaded
    assert any("aliases of `hello_milvus`, `hello_milvus2`" in e for e in manifest.excluded)
    assert any("users, roles and grants" in e for e in manifest.excluded)
    result = verify(open_catalog(loaded), manifest.id)
    assert (result.problems, result.rows, result.objects) == ((), 8990, 19)


def test_the_levels_alone_say_the_same(loaded: LoadedSpec, backup: Path) -> None:
    (backup / "meta" / "full_meta.json").unlink()
    manifest = imported(loaded, backup).manifest
    assert [c.digest.rows for c in manifest.collections] == [2990, 6000]


def test_a_second_import_finds_the_first(loaded: LoadedSpec, backup: Path) -> None:
    first = imported(loaded, backup)
    before = content(loaded.resolve("backups"))
    second = imported(loaded, backup)
    assert (first.new, second.new) == (True, False)
    assert second.manifest == first.manifest
    assert content(loaded.resolve("backups")) == before


def test_one_collection_of_it(loaded: LoadedSpec, backup: Path) -> None:
    both = imported(loaded, backup)
    one = imported(loaded, backup, collections=["hello_milvus2"])
    assert one.new
    assert one.manifest.boundary == 1689766066_000
    assert [c.name for c in one.manifest.collections] == ["hello_milvus2"]
    assert "default.hello_milvus" in one.manifest.excluded
    assert one.manifest.copied_bytes == 0
    assert one.manifest.reused_bytes == one.manifest.bytes
    assert both.manifest.id != one.manifest.id
    with pytest.raises(ImportRefused, match="no collection `nope`"):
        imported(loaded, backup, collections=["nope"])


def test_another_cluster_s_name(loaded: LoadedSpec, backup: Path) -> None:
    manifest = imported(loaded, backup, cluster="old").manifest
    assert manifest.cluster == "old"
    assert all(o.key.startswith("pool/old/") for c in manifest.collections for o in c.objects)


def test_a_newer_layout_with_l0_deletes(loaded: LoadedSpec, newer: Path) -> None:
    manifest = imported(loaded, newer).manifest
    first, second = manifest.collections
    assert first.digest.rows == 2990
    assert second.digest.rows == 6000 - 2
    assert second.deleted_keys == ("1", "3001")
    assert second.aliases == ("current",)
    assert second.properties == {"collection.ttl.seconds": "0"}
    assert (second.loaded, second.replicas) == (True, 1)
    assert manifest.access is not None
    assert manifest.access.users == {"ann": ("reader",)}
    assert manifest.access.roles == {
        "reader": (Privilege("Collection", "hello_milvus2", "Search"),)
    }
    assert not any("aliases" in e for e in manifest.excluded)
    assert "passwords of users" in manifest.excluded
    # the L0 log is in the pool once, and with the rows of each segment
    shared = [o for s in second.segments for o in s.delta]
    assert len({o.key for o in shared}) == 1
    assert len({o.source for o in shared}) == 2
    assert verify(open_catalog(loaded), manifest.id).passed


def test_rows_after_the_boundary_are_left_out_and_said(
    loaded: LoadedSpec, backup: Path, change: Change
) -> None:
    def earlier(document: dict[str, Any]) -> None:
        for collection in document["collection_backups"]:
            collection["backup_physical_timestamp"] = 1689754862

    change("full_meta.json", earlier)
    manifest = imported(loaded, backup).manifest
    assert manifest.boundary == 1689754862_000
    # so is a delete of the first collection's
    assert [c.digest.rows for c in manifest.collections] == [2995, 3000]
    assert "3,000 rows of `hello_milvus2` that were written after the boundary" in manifest.excluded


def test_rows_of_the_second_of_the_flush_are_in(
    loaded: LoadedSpec, backup: Path, change: Change
) -> None:
    def same(document: dict[str, Any]) -> None:
        for collection in document["collection_backups"]:
            collection["backup_physical_timestamp"] = 1689754864  # the last rows are of ….408

    change("full_meta.json", same)
    manifest = imported(loaded, backup).manifest
    assert [c.digest.rows for c in manifest.collections] == [2995, 6000]
    assert manifest.boundary == 1689754864_409


@pytest.mark.parametrize("name", LEVELS)
def test_missing_metadata_are_named(loaded: LoadedSpec, backup: Path, name: str) -> None:
    (backup / "meta" / "full_meta.json").unlink()
    (backup / "meta" / name).unlink()
    refused(loaded, backup, f"meta/{name} is missing")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"collection_backups": 3}'])
def test_broken_metadata_are_named(loaded: LoadedSpec, backup: Path, text: str) -> None:
    (backup / "meta" / "full_meta.json").write_text(text)
    refused(loaded, backup, "meta/full_meta.json")


def test_a_row_count_that_differs_is_refused(
    loaded: LoadedSpec, backup: Path, change: Change
) -> None:
    def more(document: dict[str, Any]) -> None:
        document["infos"][1]["num_of_rows"] = 3001

    change("segment_meta.json", more)
    refused(loaded, backup, "meta/segment_meta.json", "3001 rows", "3000")
    (backup / "meta" / "full_meta.json").unlink()
    refused(loaded, backup, "442958042415717609", "3001 rows", "hold 3000")


@pytest.mark.parametrize("kind", ["insert_log", "delta_log"])
def test_a_missing_file_is_named(loaded: LoadedSpec, backup: Path, kind: str) -> None:
    gone = next(f for f in (backup / "binlogs" / kind).rglob("*") if f.is_file())
    gone.unlink()
    refused(loaded, backup, str(gone.relative_to(backup)), "is missing")


def test_a_file_cut_short_is_named(loaded: LoadedSpec, backup: Path) -> None:
    short = next(f for f in (backup / "binlogs" / "insert_log").rglob("*") if f.is_file())
    short.write_bytes(short.read_bytes()[:-1])
    refused(loaded, backup, str(short.relative_to(backup)), "bytes; the metadata say")


def test_a_changed_file_is_named_and_nothing_stays(loaded: LoadedSpec, backup: Path) -> None:
    changed = next(f for f in (backup / "binlogs" / "insert_log").rglob("103/*"))
    data = bytearray(changed.read_bytes())
    data[0] ^= 1
    changed.write_bytes(bytes(data))
    refused(loaded, backup, str(changed.relative_to(backup / "binlogs")), "can't be read")


def test_what_another_backup_has_stays_when_an_import_fails(
    loaded: LoadedSpec, backup: Path, change: Change
) -> None:
    kept = imported(loaded, backup, collections=["hello_milvus"]).manifest
    changed = next(f for f in (backup / "binlogs" / "insert_log").rglob("442958042415717624"))
    changed.write_bytes(b"\0" * changed.stat().st_size)
    refused(loaded, backup, "442958042415717624")
    assert verify(open_catalog(loaded), kept.id).passed


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda f: f.update(data_type=24), "`random` of `hello_milvus` has the data type 24"),
        (lambda f: f.update(data_type="x"), "data_type` is not a whole number"),
        (lambda f: f.update(data_type=22, element_type=77), "elements of the data type 77"),
        (lambda f: f.update(is_primary_key=True), "one field has to be the primary key"),
    ],
)
def test_a_schema_that_is_not_known_is_refused(
    loaded: LoadedSpec, backup: Path, change: Change, how: Any, words: str
) -> None:
    change("full_meta.json", lambda d: how(d["collection_backups"][0]["schema"]["fields"][1]))
    refused(loaded, backup, "meta/full_meta.json", words)


@pytest.mark.parametrize(("state", "words"), [(1, "still running"), (3, "failed"), (9, "9")])
def test_a_backup_that_did_not_succeed_is_refused(
    loaded: LoadedSpec, backup: Path, change: Change, state: int, words: str
) -> None:
    change("full_meta.json", lambda d: d.update(state_code=state))
    refused(loaded, backup, words)


def test_several_databases_are_imported_one_at_a_time(
    loaded: LoadedSpec, backup: Path, change: Change
) -> None:
    change("full_meta.json", lambda d: d["collection_backups"][1].update(db_name="shop"))
    refused(loaded, backup, "several databases: default, shop")
    manifest = imported(loaded, backup, database="shop").manifest
    assert (manifest.database, [c.name for c in manifest.collections]) == (
        "shop",
        ["hello_milvus2"],
    )
    with pytest.raises(ImportRefused, match="no collection of the database `x`"):
        imported(loaded, backup, database="x")


def test_the_place_has_to_be_one(loaded: LoadedSpec, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="not a directory"):
        open_folder(loaded, str(tmp_path / "nope"))
    with pytest.raises(UsageError, match="neither a path nor"):
        open_folder(loaded, "gs://bucket/x")
    assert open_folder(loaded, "s3://bucket/a/b/").url == "s3://bucket/a/b"
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_the_command(loaded: LoadedSpec, backup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from kitestring.cli import cli, run

    arguments = ["backup", "import", str(backup), "--spec", str(loaded.file), "-o", "json"]
    assert run(cli, arguments, "kitestring") == 0
    out = capsys.readouterr()
    made = json.loads(out.out)["id"]
    assert run(cli, arguments, "kitestring") == 0
    again = capsys.readouterr()
    assert json.loads(again.out)["id"] == made
    assert f"already imported as {made}" in again.err
