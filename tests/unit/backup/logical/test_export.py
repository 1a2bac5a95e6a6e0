"""A backup as a folder of plain Parquet files: whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kitestring.backup.catalog import open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.logical import export as exports
from kitestring.backup.logical.create import create_logical
from kitestring.backup.logical.export import export
from kitestring.clients.exclusive import exclusive
from kitestring.errors import BackupDamaged, BackupRefused, StoreError, StoreFull, UsageError
from kitestring.model.backup import BackupManifest
from kitestring.model.digest import digest_batches
from kitestring.spec.loaded import LoadedSpec

Make = Callable[[LoadedSpec, Any], BackupManifest]


@pytest.fixture(autouse=True)
def _no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitestring.backup.plan._TICK", 0.0)


@pytest.fixture(params=[create_backup, create_logical])
def made(request: pytest.FixtureRequest, server: Any, loaded: LoadedSpec) -> BackupManifest:
    """A backup of either method, of rows that were changed and deleted."""
    server.upsert("docs", ["k001", "k002"], version=1)
    server.delete("docs", ["k003"])
    manifest: BackupManifest = request.param(loaded, server)
    return manifest


def test_all_rows_are_in_files_that_others_read(
    made: BackupManifest, loaded: LoadedSpec, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    result = export(open_catalog(loaded), made, out)
    table = pq.read_table(out / "docs")
    assert digest_batches("id", table.to_batches()) == made.collections[0].digest
    assert len(table.column("embedding")[0].as_py()) == 4
    assert (result.rows, result.backup) == (39, made.id)

    described = json.loads((out / "manifest.json").read_text())
    files = described["collections"][0]["files"]  # one, or one of each thread
    assert sum(file["rows"] for file in files) == 39
    for file in files:
        data = (out / file["path"]).read_bytes()
        assert file["bytes"] == len(data)
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
    schema = json.loads((out / "docs" / "_schema.json").read_text())
    assert schema["schema"]["fields"][0]["name"] == "id"
    assert (schema["aliases"], schema["indexes"][0]["type"]) == (["current"], "HNSW")
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_a_filter_and_a_partition_choose_rows(
    made: BackupManifest, loaded: LoadedSpec, tmp_path: Path
) -> None:
    catalog = open_catalog(loaded)
    where = 'embedding_model == "words@1" or id in ["k003", "k004"]'
    export(catalog, made, tmp_path / "some", where=where)
    keys = pq.read_table(tmp_path / "some" / "docs").column("id").to_pylist()
    assert sorted(keys) == ["k001", "k002", "k004"]
    assert json.loads((tmp_path / "some" / "manifest.json").read_text())["filter"] == where
    whole = export(catalog, made, tmp_path / "all", partitions=["_default"])
    assert whole.rows == 39
    nothing = export(catalog, made, tmp_path / "none", where='id == "absent"')
    assert (nothing.rows, nothing.collections[0].files) == (0, ())


def test_what_can_not_be_exported_is_refused_and_leaves_nothing(
    made: BackupManifest, loaded: LoadedSpec, tmp_path: Path
) -> None:
    catalog = open_catalog(loaded)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        export(catalog, made, full)
    for options, error in (
        ({"collections": ["other"]}, BackupRefused),
        ({"partitions": ["other"]}, BackupRefused),
        ({"where": "color == 1"}, UsageError),
    ):
        with pytest.raises(error):
            export(catalog, made, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    assert [p.name for p in full.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("number", "error", "told"),
    [(errno.ENOSPC, StoreFull, "no space is left"), (errno.EROFS, StoreError, "Read-only")],
)
def test_a_folder_that_can_not_be_written_says_why(
    made: BackupManifest, loaded: LoadedSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    number: int, error: type[StoreError], told: str,
) -> None:  # fmt: skip
    def refusing(path: Path, content: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(exports, "_write_json", refusing)
    with pytest.raises(StoreError, match=told) as raised:
        export(open_catalog(loaded), made, tmp_path / "new" / "out")
    assert type(raised.value) is error
    assert ("space" in raised.value.hint) is (error is StoreFull)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_damaged_backup_leaves_no_folder(
    made: BackupManifest,
    loaded: LoadedSpec,
    tmp_path: Path,
    flip: Callable[[Path, int], None],
) -> None:
    docs = made.collections[0]
    objects = [p.object for p in docs.parts] or [o for s in docs.segments for o in s.insert]
    flip(loaded.resolve("backups") / objects[-1].key, 1000)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(BackupDamaged):
        export(open_catalog(loaded), made, out)
    assert list(out.iterdir()) == []
    assert not list(tmp_path.glob(".out.*"))


def test_what_a_killed_export_has_left_is_removed_by_the_next(
    made: BackupManifest, loaded: LoadedSpec, tmp_path: Path
) -> None:
    out = tmp_path / "there" / "out"
    dead, busy, other = (out.parent / n for n in (".out.1.partial", ".out.2.partial", ".o.partial"))
    for folder in (dead, busy, other):
        folder.mkdir(parents=True)
        (folder / "part-0000.parquet").touch()
    told: list[str] = []
    with exclusive(busy / ".lock", "export"):
        export(open_catalog(loaded), made, out, on_event=told.append)
    assert sorted(p.name for p in out.parent.iterdir()) == [".o.partial", ".out.2.partial", "out"]
    assert not (out / ".lock").exists()
    assert [line for line in told if "killed" in line] == [
        f"removed {dead}, which an export that was killed had left"
    ]
