"""The catalog never hides, and never trusts, what it can't read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.restore.request import Request, open_request
from kitestring.backup.verify import verify
from kitestring.cli import cli, run
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import (
    BackupNotFound,
    BackupRefused,
    ManifestUnreadable,
    StoreUnreachable,
)
from kitestring.model.backup import BackupManifest
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec


@pytest.fixture
def two(server: Any, loaded: LoadedSpec) -> tuple[BackupManifest, BackupManifest]:
    """An older and a newer backup."""
    made = [create_backup(loaded, server), create_backup(loaded, server)]
    older, newer = sorted(made, key=lambda m: m.id)
    return older, newer


def folder(loaded: LoadedSpec, manifest: BackupManifest) -> Path:
    return loaded.resolve("backups") / "backups" / manifest.id


def test_the_newest_comes_first(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest]
) -> None:
    catalog = open_catalog(loaded)
    assert [s.id for s in catalog.summaries()] == [two[1].id, two[0].id]
    assert catalog.resolve("latest") == two[1].id
    assert catalog.resolve(two[0].id) == two[0].id
    assert catalog.newest() == two[1]


def test_an_ambiguous_or_unknown_name_is_an_error(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest]
) -> None:
    catalog = open_catalog(loaded)
    with pytest.raises(BackupNotFound, match="beginning of 2"):
        catalog.resolve("2")
    with pytest.raises(BackupNotFound) as error:
        catalog.resolve("nope")
    assert two[1].id in error.value.hint
    with pytest.raises(BackupNotFound, match="not the id"):
        catalog.manifest("../../etc/passwd")


def test_an_empty_catalog_says_what_to_do(loaded: LoadedSpec) -> None:
    with pytest.raises(BackupNotFound) as error:
        open_catalog(loaded).resolve("latest")
    assert "backup create" in error.value.hint


def test_the_newest_is_that_of_the_spec_s_cluster(
    server: Any, loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest]
) -> None:
    text = loaded.file.read_text().replace("name: unit", "name: other")
    (loaded.file.parent / "other.yaml").write_text(text)
    other = load(loaded.file.parent / "other.yaml")
    theirs = create_backup(other, server)
    asked = open_request(loaded, loaded, Request(backup="latest"))
    assert asked.manifest == two[1]
    assert open_request(other, other, Request(backup=theirs.id[:-1])).manifest == theirs
    assert run(cli, ["backup", "show", "--spec", str(loaded.file), "-o", "json"], "kt") == 0

    (loaded.file.parent / "third.yaml").write_text(text.replace("name: other", "name: third"))
    third = load(loaded.file.parent / "third.yaml")
    with pytest.raises(BackupNotFound) as error:
        open_request(third, third, Request(backup="latest"))
    assert "of `other`, `unit`; an id can be named" in error.value.hint


def test_a_manifest_of_a_later_version_without_a_summary_is_named(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest]
) -> None:
    there = folder(loaded, two[1])
    (there / "summary.json").unlink()
    catalog = open_catalog(loaded)
    assert "the next `backup create` writes it" in catalog.summaries()[0].problem
    plain = json.loads((there / "manifest.json").read_text())
    (there / "manifest.json").write_text(json.dumps(plain | {"schema_version": 99}))
    problem = catalog.summaries()[0].problem
    assert "version 99" in problem
    assert "writes it" not in problem


@pytest.mark.parametrize("verb", ["verify", "show", "export"])
def test_a_changed_manifest_is_a_failed_check(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest], verb: str, tmp_path: Path
) -> None:
    path = folder(loaded, two[1]) / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 40', '"rows": 41'))
    more = ["--to", str(tmp_path / "out")] if verb == "export" else []
    asked = ["backup", verb, two[1].id, *more, "--spec", str(loaded.file)]
    assert run(cli, asked, "kitestring") == 2
    assert not (tmp_path / "out").exists()


def test_a_store_that_is_a_file_is_named(server: Any, loaded: LoadedSpec) -> None:
    loaded.resolve("backups").write_text("")
    with pytest.raises(StoreUnreachable, match="is a file") as error:
        create_backup(loaded, server)
    assert "`path` of the store" in error.value.hint
    with pytest.raises(StoreUnreachable, match="is a file"):
        open_catalog(loaded).summaries()


@pytest.mark.parametrize("file", ["manifest.json", "summary.json"])
@pytest.mark.parametrize("how", ["removed", "cut short", "no JSON", "unknown field"])
def test_what_can_not_be_read_is_listed_and_not_used(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest], file: str, how: str
) -> None:
    path = folder(loaded, two[1]) / file
    text = path.read_text()
    if how == "removed":
        path.unlink()
    elif how == "unknown field":
        path.write_text(json.dumps({**json.loads(text), "surprise": 1}))
    else:
        path.write_text(text[: len(text) // 2] if how == "cut short" else "hello")
    catalog = open_catalog(loaded)
    assert len(catalog.summaries()) == 2
    with pytest.raises(ManifestUnreadable):
        catalog.manifest(two[1].id)
    if file == "summary.json" or how == "removed":
        listed = catalog.summaries()[0]
        assert not listed.readable
        assert listed.problem
        assert catalog.resolve("latest") == two[0].id
    assert catalog.newest() == two[0]


def test_a_changed_manifest_is_not_used(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest]
) -> None:
    path = folder(loaded, two[1]) / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 40', '"rows": 41'))
    with pytest.raises(ManifestUnreadable, match="not the one that its summary names"):
        open_catalog(loaded).manifest(two[1].id)


def test_a_manifest_of_a_later_version_is_named(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest]
) -> None:
    path = folder(loaded, two[1]) / "manifest.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 9'))
    (folder(loaded, two[1]) / "summary.json").unlink()
    open_catalog(loaded).sweep_partials()
    with pytest.raises(ManifestUnreadable):
        open_catalog(loaded).manifest(two[1].id)


def test_listing_reads_no_manifest(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest]
) -> None:
    store, disk = MemoryStore(), open_catalog(loaded).store
    for info in disk.list("backups/"):
        store.put(info.key, disk.get(info.key))
    read: list[str] = []
    store.before = lambda operation, key: read.append(key) if operation == "get" else None
    assert len(Catalog(store).summaries()) == 2
    assert all(key.endswith("summary.json") for key in read)
    assert len(read) == 2


def test_a_verification_is_noted(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest]
) -> None:
    catalog = open_catalog(loaded)
    before = catalog.summaries()[0]
    catalog.mark_verified(two[1].id, "full")
    after = catalog.summaries()[0]
    assert after.verified_at is not None
    assert before.verified_at is not None
    assert after.verified_at >= before.verified_at
    assert after == replace(before, verified_at=after.verified_at, verified_tier="full")


def test_a_lesser_verification_does_not_undo_what_a_full_one_has_proven(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest]
) -> None:
    catalog = open_catalog(loaded)

    def told() -> tuple[str, str, str]:
        now = catalog.summaries()[0]
        assert now.verified_at is not None
        assert now.best_at is None or now.best_at <= now.verified_at
        return now.verified_tier, now.best_tier, now.proven_tier

    catalog.mark_verified(two[1].id, "full")
    assert told() == ("full", "", "full")
    full = catalog.summaries()[0].verified_at
    for tier in ("sample", "list", "sample"):
        catalog.mark_verified(two[1].id, tier)
        assert told() == (tier, "full", "full")
        assert catalog.summaries()[0].best_at == full
    catalog.mark_verified(two[1].id, "full")
    assert told() == ("full", "", "full")


def test_what_is_found_damaged_is_verified_no_more(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest]
) -> None:
    catalog = open_catalog(loaded)
    catalog.mark_verified(two[1].id, "sample")
    (stored, *_) = [o for c in two[1].collections for o in c.objects]
    path = loaded.resolve("backups") / stored.key
    path.write_bytes(bytes(path.stat().st_size))
    assert not verify(catalog, two[1].id).passed
    found = catalog.summaries()[0]
    assert (found.verified_at, found.proven_tier) == (None, "")


def test_a_spec_without_a_store_for_backups_is_refused(loaded: LoadedSpec) -> None:
    text = loaded.file.read_text()
    loaded.file.write_text(text[: text.index("backup:")])
    with pytest.raises(BackupRefused, match="does not say where backups go"):
        open_catalog(load(loaded.file))


@pytest.mark.parametrize("stray", ["backups/.DS_Store", "backups/notes/of.txt", "jobs/README"])
def test_what_others_leave_in_the_store_is_no_backup(
    loaded: LoadedSpec, two: tuple[BackupManifest, BackupManifest], server: Any, stray: str
) -> None:
    open_catalog(loaded).store.put(stray, b"not ours")
    assert [s.id for s in open_catalog(loaded).summaries()] == [two[1].id, two[0].id]
    assert create_backup(loaded, server).rows == 40
    assert open_catalog(loaded).store.get(stray) == b"not ours"


@pytest.mark.parametrize("verb", ["show", "verify", "delete", "export", "restore", "drill"])
def test_an_empty_name_is_wrong_usage(
    loaded: LoadedSpec,
    two: tuple[BackupManifest, BackupManifest],
    verb: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As that of a variable that a script never set: it must not be `latest`, nor the only one."""
    open_catalog(loaded).remove(two[0].id)
    asked = {
        "delete": ["backup", "delete", "", "--yes", "--force"],
        "export": ["backup", "export", "", "--to", str(tmp_path / "out")],
        "restore": ["restore", "", "--overwrite", "--yes"],
        "drill": ["drill", "run", "--backup", ""],
    }.get(verb, ["backup", verb, ""])
    assert run(cli, [*asked, "--spec", str(loaded.file)], "kitestring") == 64
    assert "no backup is named" in capsys.readouterr().err
    assert [s.id for s in open_catalog(loaded).summaries()] == [two[1].id]


def test_latest_of_a_part_says_which_one_holds_the_rest(
    server: Any,
    loaded: LoadedSpec,
    two: tuple[BackupManifest, BackupManifest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert open_request(loaded, loaded, Request(backup="latest")).notes == ()
    # ids of one second are in any order
    monkeypatch.setattr(
        "kitestring.backup.session.new_backup_id", lambda _now: "20990101T000000Z-000000"
    )
    server.create_collection("other", server.tables["docs"].info.schema)
    part = create_backup(loaded, server, collections=["other"])
    asked = open_request(loaded, loaded, Request(backup="latest"))
    assert asked.manifest == part
    assert asked.notes == (f"{part.id} does not hold all of `docs`; {two[1].id} does",)
    assert open_request(loaded, loaded, Request(backup=part.id)).notes == ()
