"""Mark, wait, sweep: what no rule keeps goes, and nothing that a backup needs."""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.delete import delete_backup
from kitestring.backup.drill_history import open_history
from kitestring.backup.lock import held
from kitestring.backup.prune import PruneResult, prune
from kitestring.backup.verify import verify
from kitestring.clients.store.local import LocalStore
from kitestring.errors import BackupBusy, BackupNotFound, BackupRefused, StoreError
from kitestring.spec.loaded import LoadedSpec
from tests.unit.backup.catalogs import (
    DAY,
    HOUR,
    make_backup,
    make_drill,
    pool,
    put_object,
    write_spec,
)
from tests.unit.backup.racing import back_up, keep_pruning

NOW = 1_780_000_000_000


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedSpec:
    return write_spec(tmp_path, "{last: 1, grace: 1h}")


@pytest.fixture
def three(loaded: LoadedSpec) -> list[str]:
    """Ids of three backups, the newest first; each has an object of its own and one of all."""
    made = [
        make_backup(loaded, NOW - age * DAY, {"all": 100, f"own-{age}": 10 + age})
        for age in (3, 2, 1)
    ]
    return [s.id for s in reversed(made)]


def ids(loaded: LoadedSpec) -> list[str]:
    return [s.id for s in open_catalog(loaded).summaries()]


def whole(loaded: LoadedSpec) -> bool:
    """Whether every object that a manifest names is there with its size."""
    catalog = open_catalog(loaded)
    for summary in catalog.summaries():
        for stored in (o for c in catalog.manifest(summary.id).collections for o in c.objects):
            info = catalog.store.head(stored.key)
            if info is None or info.size != stored.size:
                return False
    return True


def test_a_marked_backup_is_whole_until_its_grace_period_is_over(
    loaded: LoadedSpec, three: list[str]
) -> None:
    first = prune(loaded, now=NOW)
    assert (first.marked, first.removed, first.objects) == ((three[1], three[2]), (), 0)
    assert (first.later_objects, first.later_bytes) == (2, 12 + 13)
    assert ids(loaded) == three
    assert whole(loaded)
    again = prune(loaded, now=NOW + HOUR - 1)
    assert not again.changed
    last = prune(loaded, now=NOW + HOUR)
    assert last.removed == (three[2], three[1])
    assert (last.objects, last.bytes) == (2, 12 + 13)
    assert ids(loaded) == [three[0]]
    assert pool(loaded) == ["all", "own-1"]
    assert whole(loaded)
    assert not prune(loaded, now=NOW + 9 * DAY).changed


def test_a_dry_run_tells_the_same_and_changes_nothing(
    loaded: LoadedSpec, three: list[str], tmp_path: Path
) -> None:
    def contents() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}

    for now in (NOW, NOW + HOUR):
        before = contents()
        told = prune(loaded, dry_run=True, now=now)
        assert contents() == before
        assert told.dry_run
        assert replace(told, dry_run=False) == prune(loaded, now=now)


def test_a_mark_goes_when_a_drill_passes(loaded: LoadedSpec, three: list[str]) -> None:
    prune(loaded, now=NOW)
    oldest = next(s for s in open_catalog(loaded).summaries() if s.id == three[2])
    make_drill(loaded, oldest, NOW)
    result = prune(loaded, now=NOW + 2 * HOUR)
    assert result.unmarked == (three[2],)
    assert result.removed == (three[1],)
    left = {s.id: s.marked_at for s in open_catalog(loaded).summaries()}
    assert left == {three[0]: None, three[2]: None}


def test_a_mark_goes_when_a_rule_keeps_the_backup_again(
    loaded: LoadedSpec, three: list[str], tmp_path: Path
) -> None:
    prune(loaded, now=NOW)
    relaxed = write_spec(tmp_path, "{last: 3, grace: 1h}")
    result = prune(relaxed, now=NOW + 2 * HOUR)
    assert result.unmarked == (three[1], three[2])
    assert ids(relaxed) == three
    # and a new mark has its whole grace period
    strict = write_spec(tmp_path, "{last: 1, grace: 1h}")
    assert prune(strict, now=NOW + 3 * HOUR).removed == ()


def test_a_mark_of_the_future_is_made_anew(loaded: LoadedSpec, three: list[str]) -> None:
    catalog = open_catalog(loaded)
    catalog.mark(three[2], NOW + 40 * DAY)
    assert three[2] in prune(loaded, now=NOW).marked
    assert three[2] in prune(loaded, now=NOW + HOUR).removed


def test_objects_that_nobody_names_go_when_they_are_old(
    loaded: LoadedSpec, three: list[str]
) -> None:
    catalog = open_catalog(loaded)
    put_object(catalog, "left-over", at=NOW - 2 * HOUR)
    put_object(catalog, "just-copied", at=NOW - HOUR + 1000)
    catalog.store.put("pool/other/object", b"of another cluster")
    result = prune(loaded, now=NOW)
    assert (result.objects, result.bytes) == (1, 10)
    assert pool(loaded) == ["all", "just-copied", "own-1", "own-2", "own-3"]
    assert catalog.store.head("pool/other/object") is not None


def test_without_retention_only_what_nobody_needs_goes(tmp_path: Path) -> None:
    loaded = write_spec(tmp_path)
    made = [make_backup(loaded, NOW - age * DAY, {f"own-{age}": 5}).id for age in (1, 400)]
    put_object(open_catalog(loaded), "left-over", at=NOW - 2 * DAY)
    result = prune(loaded, now=NOW)
    assert {d.rules for d in result.decisions} == {("no retention in the spec",)}
    assert ids(loaded) == made
    assert (result.objects, result.marked) == (1, ())


def test_what_a_dead_job_has_copied_is_kept_for_the_next_one(
    loaded: LoadedSpec, three: list[str]
) -> None:
    catalog = open_catalog(loaded)
    put_object(catalog, "checkpointed", at=NOW - 30 * DAY)
    key = "pool/unit/checkpointed"
    listed = [{"key": key, "source": "checkpointed", "size": 10, "sha256": "0" * 64}]
    catalog.store.put("jobs/20260101T000000Z-000000/copied-000001", json.dumps(listed).encode())
    now = int(Path(catalog.store.server_path(key)).stat().st_mtime * 1000) + 30 * DAY
    assert now == NOW
    job = Path(catalog.store.server_path("jobs/20260101T000000Z-000000/copied-000001"))
    for age, left in ((6, True), (8, False)):
        moment = int(job.stat().st_mtime * 1000) + age * DAY
        prune(loaded, now=moment)
        assert ("checkpointed" in pool(loaded)) is left


@pytest.mark.parametrize("name", ["manifest.json", "summary.json"])
def test_an_unreadable_backup_stops_the_sweep_until_it_is_deleted_by_name(
    loaded: LoadedSpec, three: list[str], name: str
) -> None:
    path = loaded.resolve("backups") / "backups" / three[1] / name
    path.write_text("{")
    put_object(open_catalog(loaded), "left-over", at=NOW - 2 * HOUR)
    before = pool(loaded)
    prune(loaded, now=NOW)
    stopped = prune(loaded, now=NOW + HOUR)
    assert f"`kitestring backup delete {three[1]}`" in stopped.problems[0]
    assert pool(loaded) == before
    assert ids(loaded) == [three[0], three[1]]
    delete_backup(loaded, three[1])
    done = prune(loaded, now=NOW + HOUR)
    assert done.clean
    assert pool(loaded) == ["all", "own-1"]
    assert whole(loaded)


def test_a_cut_manifest_is_no_reason_to_remove_another_backup(
    loaded: LoadedSpec, three: list[str]
) -> None:
    """The summary of the newest looks well: it would be the one that `last: 1` keeps."""
    path = loaded.resolve("backups") / "backups" / three[0] / "manifest.json"
    path.write_bytes(path.read_bytes()[:-40])
    result = prune(loaded, now=NOW)
    assert [d.id for d in result.decisions if d.keep] == [three[0], three[1]]
    assert not result.clean


def test_a_drill_record_that_can_not_be_read_removes_no_backup(
    loaded: LoadedSpec, three: list[str]
) -> None:
    summaries = {s.id: s for s in open_catalog(loaded).summaries()}
    newest = make_drill(loaded, summaries[three[2]], NOW - HOUR)
    record = open_history(loaded).folder / f"{newest}.json"
    text = record.read_text()
    record.write_text(text[:40])
    for moment in (NOW, NOW + DAY):
        result = prune(loaded, now=moment)
        assert (result.marked, result.removed, result.clean) == ((), (), False)
        assert newest in result.problems[0]
    # a later drill that has passed settles which one is the newest
    make_drill(loaded, summaries[three[0]], NOW)
    assert prune(loaded, now=NOW).marked == (three[1], three[2])


class Locked(LocalStore):
    """A directory that refuses to delete some keys, as a bucket with object lock does."""

    def __init__(self, path: Path, refuses: str) -> None:
        super().__init__(path)
        self.refuses = refuses

    def delete(self, key: str) -> None:
        if self.refuses in key:
            raise StoreError(f"{key}: AccessDenied: the object is locked", subject=key)
        super().delete(key)


@pytest.mark.parametrize("refuses", ["own-2", "manifest.json"])
def test_what_the_store_refuses_is_told_and_the_rest_goes_on(
    loaded: LoadedSpec, three: list[str], refuses: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prune(loaded, now=NOW)
    refused = refuses if refuses == "own-2" else f"{three[1]}/manifest.json"
    store = Locked(loaded.resolve("backups"), refused)
    monkeypatch.setattr("kitestring.backup.prune.open_catalog", lambda _loaded: Catalog(store))
    result = prune(loaded, now=NOW + HOUR)
    assert not result.clean
    assert "locked" in result.refused[0].why
    if refuses == "own-2":
        assert result.removed == (three[2], three[1])
        assert pool(loaded) == ["all", "own-1", "own-2"]
        assert (result.objects, result.bytes) == (1, 13)
    else:
        assert result.removed == (three[2],)
        assert ids(loaded) == three[:2]
        assert pool(loaded) == ["all", "own-1", "own-2"]
    assert whole(loaded)


def test_a_prune_waits_for_nobody(loaded: LoadedSpec, three: list[str]) -> None:
    with (
        held(open_catalog(loaded).store, "a backup"),
        pytest.raises(BackupBusy, match="a backup runs already"),
    ):
        prune(loaded, now=NOW)


def test_a_prune_that_lost_its_lock_deletes_no_more(
    loaded: LoadedSpec, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prune(loaded, now=NOW)
    catalog = open_catalog(loaded)
    monkeypatch.setattr("kitestring.backup.prune.open_catalog", lambda _loaded: catalog)
    listed = catalog.store.list

    def taken_over(prefix: str) -> Any:
        if prefix == "pool/unit/":
            LocalStore(loaded.resolve("backups")).put("locks/backup.json", b"another's")
        return listed(prefix)

    monkeypatch.setattr(catalog.store, "list", taken_over)
    with pytest.raises(BackupBusy):
        prune(loaded, now=NOW + HOUR)
    assert "own-2" in pool(loaded)


class Died(BaseException):
    """The process was killed here."""


class Dying(LocalStore):
    """A directory whose user dies at the n-th write or deletion."""

    def __init__(self, path: Path, at: int) -> None:
        super().__init__(path)
        self.left = at

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Died

    def put(self, key: str, data: Any) -> None:
        self._step()
        super().put(key, data)

    def delete(self, key: str) -> None:
        self._step()
        super().delete(key)


def test_killed_at_any_step_the_next_run_goes_on(tmp_path: Path) -> None:
    """Each write and each deletion of a mark and of a sweep is the last one once."""
    steps = 0
    for steps in range(60):
        folder = tmp_path / str(steps)
        folder.mkdir()
        loaded = write_spec(folder, "{last: 1, grace: 1h}")
        made = [
            make_backup(loaded, NOW - age * DAY, {"all": 9, f"own-{age}": 9}) for age in (3, 2, 1)
        ]
        with pytest.MonkeyPatch.context() as patch:
            store = Dying(loaded.resolve("backups"), steps)
            patch.setattr("kitestring.backup.prune.open_catalog", lambda _l, s=store: Catalog(s))
            try:
                prune(loaded, now=NOW)
                prune(loaded, now=NOW + HOUR)
            except Died:
                died = True
            else:
                died = False
        (loaded.resolve("backups") / "locks" / "backup.json").unlink(missing_ok=True)
        assert ids(loaded)[0] == made[2].id
        prune(loaded, now=NOW + HOUR)
        assert whole(loaded)
        done: PruneResult = prune(loaded, now=NOW + 3 * HOUR)
        assert done.clean
        assert ids(loaded) == [made[2].id]
        assert pool(loaded) == ["all", "own-1"]
        assert not prune(loaded, now=NOW + 3 * HOUR).changed
        if not died:
            break
    assert 8 < steps < 59


def test_backups_and_prunes_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Two processes prune without a pause, and are killed at any moment, while one makes backups.

    With a grace period of milliseconds every object of an unfinished backup is old enough to go.
    """
    loaded = write_spec(tmp_path, "{last: 2, grace: 5ms}")
    (tmp_path / "milvus").mkdir()
    seed = 7
    spawn, choose = multiprocessing.get_context("spawn"), random.Random(seed)  # noqa: S311
    pruned = spawn.RawArray("i", 2)  # without a lock, which a killed process would keep

    def pruner(slot: int) -> Any:
        process = spawn.Process(target=keep_pruning, args=(loaded.file, pruned, slot), daemon=True)
        process.start()
        return process

    maker = spawn.Process(target=back_up, args=(loaded.file, 6, seed, pruned), daemon=True)
    maker.start()
    pruners = [pruner(0), pruner(1)]
    kills, seen = 0, 0
    try:
        while maker.is_alive():
            maker.join(choose.random() / 20)
            if sum(pruned) > seen + 2:
                slot, seen = kills % 2, sum(pruned)
                pruners[slot].kill()
                pruners[slot].join()
                pruners[slot] = pruner(slot)
                kills += 1
    finally:
        for process in (maker, *pruners):
            process.kill()
            process.join()
    assert maker.exitcode == 0
    assert kills > 1
    time.sleep(0.01)  # the grace period
    prune(loaded)
    prune(loaded)
    catalog = open_catalog(loaded)
    left = catalog.summaries()
    assert 2 <= len(left) < 6
    for summary in left:
        assert verify(catalog, summary.id, tier="full").passed
    named = {o.key for s in left for c in catalog.manifest(s.id).collections for o in c.objects}
    assert {info.key for info in catalog.store.list("pool/")} == named


# --- deletion by name


def test_a_deleted_backups_objects_go_with_the_next_prune(
    loaded: LoadedSpec, three: list[str]
) -> None:
    assert delete_backup(loaded, three[1]).objects == 0
    assert ids(loaded) == [three[0], three[2]]
    assert "own-2" in pool(loaded)
    prune(loaded, now=NOW)
    assert "own-2" not in pool(loaded)
    with pytest.raises(BackupNotFound):
        delete_backup(loaded, three[1])


def test_sweep_now_frees_what_only_it_needs(loaded: LoadedSpec, three: list[str]) -> None:
    put_object(open_catalog(loaded), "of nobody", at=NOW - 9 * DAY)
    result = delete_backup(loaded, three[1], sweep_now=True)
    assert (result.objects, result.bytes) == (1, 12)
    assert pool(loaded) == ["all", "of nobody", "own-1", "own-3"]
    assert whole(loaded)


def test_sweep_now_sweeps_nothing_beside_an_unreadable_backup(
    loaded: LoadedSpec, three: list[str]
) -> None:
    (loaded.resolve("backups") / "backups" / three[2] / "manifest.json").write_text("{")
    result = delete_backup(loaded, three[1], sweep_now=True)
    assert not result.clean
    assert three[2] in result.problems[0]
    assert "own-2" in pool(loaded)


def test_proven_backups_are_deleted_only_by_force(loaded: LoadedSpec, three: list[str]) -> None:
    catalog = open_catalog(loaded)
    oldest = next(s for s in catalog.summaries() if s.id == three[2])
    make_drill(loaded, oldest, NOW)
    with pytest.raises(BackupRefused, match="newest one that has passed a drill"):
        delete_backup(loaded, three[2])
    with pytest.raises(BackupRefused, match="newest one that is verified"):
        delete_backup(loaded, three[0])
    delete_backup(loaded, three[2], force=True)
    delete_backup(loaded, three[1])
    with pytest.raises(BackupRefused, match="the last backup of `unit`"):
        delete_backup(loaded, three[0])
    assert ids(loaded) == [three[0]]


def test_another_clusters_backup_is_deleted_only_by_force(
    loaded: LoadedSpec, three: list[str]
) -> None:
    other = make_backup(loaded, NOW - 9 * DAY, {"x": 1}, cluster="elsewhere")
    assert other.id not in [d.id for d in prune(loaded, now=NOW).decisions]
    with pytest.raises(BackupRefused, match="`elsewhere`"):
        delete_backup(loaded, other.id)
    delete_backup(loaded, other.id, force=True)
