"""What a restore brings back, what it refuses, and that it leaves nothing behind."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitestring.backup.batches import plan_batches
from kitestring.backup.catalog import open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.restore import RestoreResult, RestoreTarget, restore
from kitestring.backup.staging import STAGING, claim
from kitestring.errors import (
    BackupDamaged,
    MilvusError,
    RestoreIncomplete,
    RestoreRefused,
)
from kitestring.model.backup import BackupManifest
from kitestring.spec.loaded import LoadedSpec


@pytest.fixture
def manifest(server: Any, loaded: LoadedSpec) -> BackupManifest:
    server.upsert("docs", ["k001", "k001x"], version=1)
    server.delete("docs", ["k002"])
    return create_backup(loaded, server)


@pytest.fixture
def go(server: Any, loaded: LoadedSpec, manifest: BackupManifest) -> Callable[..., RestoreResult]:
    """Restores the manifest to the server that it came from."""

    def run(**options: Any) -> RestoreResult:
        return restore(
            open_catalog(loaded), manifest, RestoreTarget(server, server.store), **options
        )

    return run


def staged(server: Any) -> list[str]:
    return [info.key for info in server.store.list(STAGING)]


def test_rows_indexes_load_state_and_partitions_come_back(
    server: Any, go: Callable[..., RestoreResult]
) -> None:
    phases: list[str] = []
    server.upsert("docs", ["later"])
    result = go(rename={"docs": "copy"}, on_phase=lambda name, seconds: phases.append(name))
    wanted = dict.fromkeys((f"k{i:03d}" for i in range(40)), 0) | {"k001": 1, "k001x": 1}
    del wanted["k002"]
    assert server.alive("copy") == wanted
    assert (result.rows, phases) == (40, ["copy", "import", "load", "first_answer", "index"])
    info, source = server.describe("copy"), server.describe("docs")
    assert [i.index for i in info.indexes] == [i.index for i in source.indexes]
    assert (info.schema, info.properties, info.loaded) == (source.schema, {"a": "b"}, True)
    assert staged(server) == []


def test_an_alias_that_is_taken_stays_and_is_noted(
    server: Any, go: Callable[..., RestoreResult]
) -> None:
    result = go(prefix="copy_")
    assert server.alias_owner("current") == "docs"
    assert any("`current`" in note for note in result.notes)
    assert result.not_restored == ("copy_docs: alias `current` is not restored",)
    assert go(prefix="again_", aliases=False).not_restored == ()


def test_aliases_come_back_with_the_collection(
    server: Any, go: Callable[..., RestoreResult]
) -> None:
    server.alias.clear()
    server.drop_collection("docs")
    result = go()
    assert (result.notes, result.not_restored) == ((), ())
    assert server.alias_owner("current") == "docs"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "a collection `docs` already"),
        ({"rename": {"docs": "current"}}, "an alias of `docs`"),
        ({"rename": {"nope": "x"}}, "no collection `nope`"),
        ({"collections": ["nope"]}, "no collection `nope`"),
    ],
)
def test_what_is_there_is_left_alone(
    server: Any, go: Callable[..., RestoreResult], options: dict[str, Any], words: str
) -> None:
    before = server.alive("docs")
    with pytest.raises(RestoreRefused, match=words):
        go(**options)
    assert (server.alive("docs"), server.list_collections()) == (before, ["docs"])


def test_overwriting_replaces_the_collection_and_keeps_its_aliases(
    server: Any, go: Callable[..., RestoreResult]
) -> None:
    server.create_alias("docs", "another")
    server.delete("docs", ["k005", "k006"])
    go(overwrite=True)
    assert server.count("docs") == 40
    assert server.describe("docs").aliases == ("another", "current")
    assert server.list_collections() == ["docs"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failed_import_leaves_all_as_it_was(
    server: Any, go: Callable[..., RestoreResult], overwrite: bool
) -> None:
    server.import_fails = "out of disk"
    before = server.alive("docs")
    with pytest.raises(MilvusError, match="out of disk"):
        go(overwrite=overwrite, rename={} if overwrite else {"docs": "copy"})
    assert (server.alive("docs"), server.list_collections()) == (before, ["docs"])
    assert staged(server) == []


def test_an_import_that_loses_a_row_is_no_restore(
    server: Any, go: Callable[..., RestoreResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.import_loses = 1
    monkeypatch.setattr("kitestring.backup.restore.serving._SETTLED", 0.3)
    with pytest.raises(RestoreIncomplete, match="has 39 rows, not 40"):
        go(rename={"docs": "copy"})
    assert server.list_collections() == ["docs"]


@pytest.mark.parametrize(
    "method", ["start_import", "import_state", "create_index", "load", "search"]
)
def test_an_interrupt_leaves_all_as_it_was(
    server: Any,
    go: Callable[..., RestoreResult],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    def stop(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(server, method, stop)
    with pytest.raises(KeyboardInterrupt):
        go(rename={"docs": "copy"})
    assert server.list_collections() == ["docs"]
    assert staged(server) == []


@pytest.mark.parametrize("how", ["flip", "remove"])
def test_a_damaged_object_is_never_imported(
    server: Any,
    go: Callable[..., RestoreResult],
    loaded: LoadedSpec,
    manifest: BackupManifest,
    flip: Callable[[Path, int], None],
    how: str,
) -> None:
    file = loaded.resolve("backups") / manifest.collections[0].segments[0].insert[2].key
    if how == "flip":
        flip(file, 1234)
    else:
        file.unlink()
    with pytest.raises(BackupDamaged):
        go(rename={"docs": "copy"})
    assert server.list_collections() == ["docs"]
    assert staged(server) == []


def test_fewer_query_nodes_than_replicas_is_noted(server: Any, loaded: LoadedSpec) -> None:
    table = server.tables["docs"]
    table.info = replace(table.info, replicas=3)
    manifest = create_backup(loaded, server)
    target = RestoreTarget(server, server.store)
    result = restore(open_catalog(loaded), manifest, target, prefix="c_", aliases=False)
    assert any("1 replica, not 3" in text for text in result.not_restored)


def test_a_collection_that_was_not_loaded_is_not_loaded(server: Any, loaded: LoadedSpec) -> None:
    server.create_collection("cold", server.describe("docs").schema)
    server.upsert("cold", ["a", "b"])
    manifest = create_backup(loaded, server, collections=["cold"])
    restore(open_catalog(loaded), manifest, RestoreTarget(server, server.store), prefix="c_")
    assert not server.describe("c_cold").loaded
    assert server.count("c_cold") == 2


def test_batches_hold_each_segment_once_and_keep_the_order_of_logs(
    server: Any, loaded: LoadedSpec
) -> None:
    for part in range(5):
        server.upsert("docs", [f"p{part}{i}" for i in range(3)])
        server.persist("docs")
    backup = create_backup(loaded, server).collections[0]
    batches = plan_batches(backup, max_segments=2)
    assert len(batches) == 3
    taken = sorted(o.source for b in batches for o in b.objects.values())
    assert taken == sorted(o.source for s in backup.segments for o in s.insert + s.delta)
    for batch in batches:
        by_field: dict[str, list[str]] = {}
        for key in sorted(k for k in batch.objects if k.startswith("insert_log")):
            segment = batch.objects[key].source.split("/")[3]
            by_field.setdefault(key.split("/")[-2], []).append(segment)
        assert len({tuple(segments) for segments in by_field.values()}) == 1


def test_the_copy_answers_before_its_index_is_built(
    server: Any, go: Callable[..., RestoreResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    describe, search = server.describe, server.search

    def building(name: str) -> Any:
        """The index is not built until a search was answered."""
        info = describe(name)
        if name != "copy" or "search" in done:
            return info
        return replace(info, indexes=tuple(replace(i, pending_rows=1) for i in info.indexes))

    def answering(*args: Any, **options: Any) -> Any:
        done.append("search")
        return search(*args, **options)

    monkeypatch.setattr(server, "describe", building)
    monkeypatch.setattr(server, "search", answering)
    result = go(rename={"docs": "copy"})
    assert done == ["search"]
    assert result.answer_seconds is not None
    assert result.answer_seconds <= result.full_seconds == sum(result.seconds.values())


def test_a_copy_that_finds_none_of_its_rows_is_named(
    server: Any, go: Callable[..., RestoreResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.blind = True
    monkeypatch.setattr("kitestring.backup.restore.run.FIRST_ANSWER", 0.2)
    result = go(rename={"docs": "copy"}, aliases=False)
    assert result.not_restored == ("`copy` gave no right answer within 0.2 s",)
    assert result.answer_seconds is None


@pytest.mark.parametrize("step", ["rename_collection", "move_alias"])
def test_a_replacement_that_fails_leaves_the_old_collection(
    server: Any, go: Callable[..., RestoreResult], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    server.delete("docs", ["k005"])
    before = server.alive("docs")
    real, calls = getattr(server, step), []

    def fails(*args: Any) -> None:
        calls.append(args)
        if (step, len(calls)) in (("rename_collection", 2), ("move_alias", 1)):
            raise MilvusError("no etcd")
        real(*args)

    monkeypatch.setattr(server, step, fails)
    with pytest.raises(RestoreIncomplete, match="is as it was: no etcd"):
        go(overwrite=True)
    assert server.list_collections() == ["docs"]
    assert server.alive("docs") == before
    assert server.alias_owner("current") == "docs"


def test_an_old_collection_that_can_not_be_dropped_is_named(
    server: Any, go: Callable[..., RestoreResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(name: str) -> None:
        raise MilvusError("locked")

    monkeypatch.setattr(server, "drop_collection", refuses)
    result = go(overwrite=True)
    (text,) = result.not_restored
    assert "is left as `docs_replaced_" in text
    assert server.count("docs") == 40


def test_what_a_killed_restore_has_staged_is_swept_after_a_week(
    server: Any, go: Callable[..., RestoreResult]
) -> None:
    old = f"{STAGING}/x-{(time.time_ns() - 8 * 86_400 * 10**9):x}/a"
    young = f"{STAGING}/x-{time.time_ns():x}/a"
    server.store.put(old, b"1")
    server.store.put(young, b"1")
    go(rename={"docs": "copy"})
    assert staged(server) == [young]


def test_what_a_killed_restore_of_this_host_has_staged_goes_with_the_next(
    server: Any, go: Callable[..., RestoreResult]
) -> None:
    dead, alive, elsewhere = (f"{STAGING}/{n}-{time.time_ns():x}" for n in ("d", "a", "e"))
    for folder in (dead, alive, elsewhere):
        server.store.put(f"{folder}/a/b", b"1")
        claim(server.store, folder)
    gone = {"pid": 2**22 + 1, "started": 1.0, "host": socket.gethostname()}
    server.store.put(f"{dead}/owner.json", json.dumps(gone).encode())
    gone["host"] = "another"
    server.store.put(f"{elsewhere}/owner.json", json.dumps(gone).encode())
    go(rename={"docs": "copy"})
    assert {key.rpartition("/")[0] for key in staged(server)} == {
        alive, elsewhere, f"{alive}/a", f"{elsewhere}/a",
    }  # fmt: skip


def test_a_backup_of_segments_needs_the_store_of_the_target(
    server: Any, loaded: LoadedSpec, manifest: BackupManifest
) -> None:
    with pytest.raises(RestoreRefused, match="where its Milvus keeps its segments"):
        restore(open_catalog(loaded), manifest, RestoreTarget(server, None), prefix="c_")


def test_a_store_without_room_is_refused_beforehand(
    server: Any, go: Callable[..., RestoreResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitestring.backup.restore.plan.free_bytes", lambda store: 1000)
    with pytest.raises(RestoreRefused, match="are free"):
        go(rename={"docs": "copy"})
    assert server.list_collections() == ["docs"]


# --- killed


class Killed(BaseException):
    """What no cleaning up survives."""


class Dying:
    """A server, or a store, of which one step is the last that a process takes: after it, nothing
    that the process asks for is done any more."""

    STEPS = frozenset(
        ("create_collection", "start_import", "rename_collection", "drop_collection",
         "create_index", "load", "create_alias", "move_alias", "copy_from")
    )  # fmt: skip

    def __init__(self, real: Any, life: list[int]) -> None:
        self._real, self._life = real, life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            if self._life[0] <= 0:
                raise Killed
            if name in self.STEPS:
                self._life[0] -= 1
            return found(*args, **options)

        return call


@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_every_step_no_half_collection_bears_its_name(
    server: Any, loaded: LoadedSpec, manifest: BackupManifest, overwrite: bool
) -> None:
    catalog, whole = open_catalog(loaded), server.alive("docs")
    target = RestoreTarget(server, server.store)
    server.delete("docs", ["k005"])
    docs, info, aliases = server.table("docs"), server.table("docs").info, dict(server.alias)
    options: dict[str, Any] = {"overwrite": True} if overwrite else {"rename": {"docs": "copy"}}
    name, steps, out_of_sight = ("docs" if overwrite else "copy"), 0, 0
    while True:
        steps += 1
        life = [steps]
        dying = RestoreTarget(Dying(server, life), Dying(server.store, life))
        with suppress(Killed):
            restore(catalog, manifest, dying, **options)
        if life[0] > 0:  # it had more steps than it needed
            break
        there = server.has_collection(name)
        if there:  # whole: the new one, or the old one
            assert server.alive(name) in (whole, {k: v for k, v in whole.items() if k != "k005"})
        elif overwrite:
            out_of_sight += 1
            with pytest.raises(RestoreRefused, match="the old collection is whole, as `docs_repl"):
                restore(catalog, manifest, target)
        again = {**options, "overwrite": True} if there else options
        result = restore(catalog, manifest, target, **again)
        assert server.alive(name) == whole
        if overwrite:
            assert (result.not_restored, server.alias_owner("current")) == ((), "docs")
        for left in set(server.list_collections()) - {"docs", "copy"}:
            assert any(f"`{left}`" in note for note in result.notes), (steps, left)
        server.tables.clear()
        server.tables["docs"], docs.info = docs, info
        server.alias = dict(aliases)
    print(f"killed at {steps - 1} steps")
    assert steps > 8
    assert out_of_sight == (1 if overwrite else 0)
