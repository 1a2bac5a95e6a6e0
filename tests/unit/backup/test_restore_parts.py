"""The pieces of a restore: what is chosen, who may do what, how long it may take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from kitestring.backup.catalog import open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.logical.create import create_logical
from kitestring.backup.logical.rows import read_rows
from kitestring.backup.pool import PoolReader
from kitestring.backup.restore.access import (
    access_differences,
    read_passwords,
    renamed,
    restore_access,
)
from kitestring.backup.restore.choose import parse_instant, pick
from kitestring.backup.restore.estimate import estimate
from kitestring.backup.restore.naming import names_for
from kitestring.backup.restore.request import Request, open_request
from kitestring.backup.restore.selection import sampled
from kitestring.cli import cli
from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.errors import BackupNotFound, MilvusError, UsageError
from kitestring.model.access import Privilege
from kitestring.model.backup import AccessBackup, BackupSummary
from kitestring.model.digest import digest_batches
from kitestring.model.drill import CollectionScore, DrillRecord, Phase
from kitestring.spec.loaded import LoadedSpec

SEARCH = Privilege("Collection", "docs", "Search")
SHOW = Privilege("Global", "*", "ShowCollections")
ACCESS = AccessBackup(
    {"root": (), "reader": ("readers",), "other": ("readers",)},
    {"admin": (), "public": (), "readers": (SEARCH, SHOW)},
)


# --- users, roles and grants


def test_access_comes_back_and_users_without_a_password_are_named() -> None:
    cluster = MemoryCluster()
    admin = cluster.connect().admin
    done = restore_access(admin, ACCESS, {"reader": "secret-1"})
    assert admin.privileges("readers") == {SEARCH, SHOW}
    assert admin.roles_of("reader") == ("readers",)
    assert cluster.passwords["reader"] == "secret-1"
    (lost,) = done.not_restored
    assert "user `other` is not restored" in lost
    assert restore_access(admin, ACCESS, {"reader": "another"}).undo == []  # nothing to do
    assert cluster.passwords["reader"] == "secret-1"  # a user that is there keeps the password
    for act in reversed(done.undo):
        act()
    assert (admin.list_roles(), admin.list_users()) == (["admin", "public"], ["root"])


def test_what_a_server_refuses_is_named_once_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = MemoryCluster().connect().admin
    grant = admin.grant

    def refusing(role: str, privilege: Privilege) -> None:
        if privilege == SHOW:
            raise MilvusError("unknown privilege")
        grant(role, privilege)

    monkeypatch.setattr(type(admin), "grant", lambda self, *a: refusing(*a))
    done = restore_access(admin, ACCESS, {"reader": "secret-1", "other": "secret-2"})
    (lost,) = done.not_restored
    assert "ShowCollections" in lost
    assert "unknown privilege" in lost
    assert admin.privileges("readers") == {SEARCH}
    assert len(list(access_differences(admin, ACCESS))) == 1


def test_grants_follow_a_collection_to_its_new_name() -> None:
    found = renamed(ACCESS, {"docs": "copy"}).roles["readers"]
    assert found == (replace(SEARCH, name="copy"), SHOW)


def test_what_the_target_has_beyond_the_backup_is_its_own_affair() -> None:
    admin = MemoryCluster().connect().admin
    admin.create_role("readers")
    admin.grant("readers", Privilege("Global", "*", "CreateCollection"))
    restore_access(admin, ACCESS, {"reader": "secret-1", "other": "secret-2"})
    assert len(admin.privileges("readers")) == 3
    assert list(access_differences(admin, ACCESS)) == []


@pytest.mark.parametrize("text", ["reader: 5", "- reader", "reader: [", "reader: ''"])
def test_a_file_of_passwords_is_refused_without_showing_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "passwords"
    file.write_text(f"other: hunter-22\n{text}\n")
    with pytest.raises(UsageError) as caught:
        read_passwords(file)
    assert "hunter" not in caught.value.message
    assert str(file) in caught.value.message


# --- which backup


def summary(name: str, boundary: int, **more: Any) -> BackupSummary:
    return BackupSummary(name, "unit", "physical", boundary, boundary, "v2.3.5", (), 0, 0, 0, "",
                         **more)  # fmt: skip


def catalog(*summaries: BackupSummary) -> Any:
    return SimpleNamespace(
        summaries=lambda: list(summaries),
        manifest=lambda name: name,
        resolve=lambda name: name,
        store=SimpleNamespace(url="memory://x"),
    )


def test_an_instant_takes_the_newest_backup_that_is_not_later() -> None:
    there = catalog(summary("c", 300), summary("b", 200), summary("a", 100))
    assert pick(there, "unit", at=299)[0] == "b"
    assert pick(there, "unit", at=200)[0] == "b"
    assert pick(there, "unit")[0] == "c"
    assert pick(there, "unit", "a")[0] == "a"
    with pytest.raises(BackupNotFound, match="the oldest one is of 1970-01-01"):
        pick(there, "unit", at=99)
    with pytest.raises(BackupNotFound, match="no backup of `elsewhere`"):
        pick(there, "elsewhere")
    with pytest.raises(UsageError):
        pick(there, "unit", "a", at=5)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:00.5+01:00", 500),
        (" 1970-01-02 00:00:00+00:00 ", 86_400_000),
    ],
)
def test_instants(text: str, ms: int) -> None:
    assert parse_instant(text) == ms


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00", "yesterday", "1970-01-01", ""])
def test_an_instant_without_its_time_zone_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_instant(text)


# --- a sample


def test_a_sample_is_whole_segments_and_the_digest_of_their_rows(
    server: Any, loaded: LoadedSpec
) -> None:
    for part in range(4):
        server.upsert("docs", [f"p{part}{i:02d}" for i in range(10)])
        server.persist("docs")
    server.delete("docs", ["p000", "k001"])
    manifest = create_backup(loaded, server)
    found, part = sampled(open_catalog(loaded), manifest, 0.3)
    (whole,), (less,) = manifest.collections, found.collections
    assert {s.id for s in less.segments} < {s.id for s in whole.segments}
    assert 0.3 <= part < 1
    assert less.digest.rows == round(part * manifest.rows)
    assert less.digest.content
    assert sampled(open_catalog(loaded), manifest, 0.3)[0] == found  # the same ones each time
    everything, part = sampled(open_catalog(loaded), manifest, 1.0)
    assert part == 1.0
    assert everything.collections[0].digest == whole.digest


def test_a_sample_of_a_logical_backup_is_whole_files_and_the_digest_of_their_rows(
    server: Any, loaded: LoadedSpec
) -> None:
    manifest = create_logical(loaded, server)
    for part in range(4):  # each adds a file
        server.upsert("docs", [f"p{part}{i:02d}" for i in range(10)])
        manifest = create_logical(loaded, server)
    server.delete("docs", ["p000", "p101"])
    manifest = create_logical(loaded, server)
    found, part = sampled(open_catalog(loaded), manifest, 0.3)
    (whole,), (less,) = manifest.collections, found.collections
    assert set(less.parts) < set(whole.parts)
    assert 0.3 <= part < 1
    assert less.digest.rows == sum(p.rows for p in less.parts) == round(part * manifest.rows)
    reader = PoolReader(open_catalog(loaded).store, less.objects)
    assert digest_batches("id", read_rows(reader, less)) == less.digest
    assert sampled(open_catalog(loaded), manifest, 0.3)[0] == found
    everything, part = sampled(open_catalog(loaded), manifest, 1.0)
    assert part == 1.0
    assert everything.collections[0].digest == whole.digest


# --- how long


def drill(rows: int, size: int, *, lost: int = 0, **seconds: float) -> DrillRecord:
    return DrillRecord(
        "d", "b", "unit", "v2.3.5", 1, 2, 1, 1.0, 1.0,
        tuple(Phase(name, value) for name, value in seconds.items()),
        (CollectionScore("docs", rows + lost, rows, True, True, 0),), (), False,
        full_seconds=sum(seconds.values()), bytes=size,
    )  # fmt: skip


def test_an_estimate_scales_the_phases_by_what_they_depend_on() -> None:
    one = drill(1000, 500, target=99.0, copy=2.0, load=4.0, first_answer=1.0, index=60.0)
    found = estimate([one], 5000, 2000)
    assert found.answer is not None
    assert found.full is not None
    assert found.answer.median == pytest.approx(10 * 2 + 2 * 4 + 1)
    assert found.full.median == pytest.approx(found.answer.median + 120)
    assert (found.drills, found.bytes_per_second) == (1, 250)
    assert found.rows_per_second["index"] == pytest.approx(1000 / 60)


def test_an_estimate_spans_the_drills_and_rests_on_good_ones_only() -> None:
    good = [drill(100, 10, load=s) for s in (1.0, 2.0, 6.0)]
    bad = drill(100, 10, lost=1, load=900.0)
    older = replace(drill(100, 10, load=900.0), full_seconds=None)  # waited for its index
    found = estimate([bad, older, *good], 10, 100)
    assert found.drills == 3
    assert found.answer is not None
    assert (found.answer.low, found.answer.median, found.answer.high) == (1.0, 2.0, 6.0)
    assert estimate([bad, older], 10, 100).answer is None


# --- names


@pytest.mark.parametrize("name", ["two words", "1st", "a-b", "x" * 256])
def test_a_name_that_no_collection_can_have_is_wrong_usage(name: str) -> None:
    collection: Any = SimpleNamespace(name="docs")
    options: dict[str, Any] = {"prefix": "", "overwrite": False}
    with pytest.raises(UsageError, match="name of a collection"):
        names_for(None, [collection], rename={"docs": name}, **options)


def test_so_is_that_of_a_database(loaded: LoadedSpec) -> None:
    with pytest.raises(UsageError, match="name of a database"):
        open_request(loaded, loaded, Request(backup="latest", database="no such"))


# --- what is typed before something is lost


def test_nobody_is_asked_where_nobody_is(
    server: Any, loaded: LoadedSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    made = create_backup(loaded, server)
    asked = ["backup", "delete", made.id, "--force", "--spec", str(loaded.file)]
    assert CliRunner().invoke(cli, asked, input="").exception is not None
    wrong = CliRunner().invoke(cli, asked, input="yes\n").exception
    assert "is not" in str(wrong)
    assert [s.id for s in open_catalog(loaded).summaries()] == [made.id]
    CliRunner().invoke(cli, asked, input=f"{made.id}\n", standalone_mode=False)
    assert open_catalog(loaded).summaries() == []
