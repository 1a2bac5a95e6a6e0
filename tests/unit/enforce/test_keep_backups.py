"""What the schedule does: make, verify, prune; each only when the one before went well."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

from kitestring.backup.catalog import open_catalog
from kitestring.backup.verify import VerifyResult
from kitestring.clients.store.local import LocalStore
from kitestring.enforce.backups import keep_backups
from kitestring.errors import ServerUnreachable
from kitestring.spec.load import load
from tests.unit.backup.conftest import SCHEMA, FakeServer

SPEC = """\
version: 1
cluster: {name: unit}
connection: {uri: "http://127.0.0.1:19530"}
state: state
storage: {type: local, path: milvus}
backup:
  store: {type: local, path: backups}
  method: physical
  retention: {last: 1, grace: 1h}
objectives: {rpo: 24h, rto: 10m}
day2: {backup: {verify: full}}
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A spec, and a server with 30 rows that `connect` gives for it."""
    (tmp_path / "milvus").mkdir()
    file = tmp_path / "cluster.yaml"
    file.write_text(SPEC)
    spec = load(file)
    server = FakeServer(LocalStore(spec.resolve("milvus")))
    server.create_collection("docs", SCHEMA, partitions=["_default"])
    server.upsert("docs", [f"k{i:03d}" for i in range(30)])

    @contextmanager
    def connect(_loaded):
        yield server

    monkeypatch.setattr("kitestring.clients.milvus.connect.connect", connect)
    monkeypatch.setattr("kitestring.backup.create._TICK", 0.0, raising=False)
    return spec


def ids(loaded):
    return [s.id for s in open_catalog(loaded).summaries()]


def test_a_second_run_changes_nothing(loaded):
    first = keep_backups(loaded)
    assert (first.changed, first.exit_code, first.problems) == (True, 0, ())
    assert first.verified.tier == "full"
    assert first.pruned.marked == ()
    second = keep_backups(loaded)
    assert (second.changed, second.made, second.verified) == (False, None, None)
    assert ids(loaded) == [first.made.id]


def test_a_forced_one_marks_the_older(loaded):
    older = keep_backups(loaded).made.id
    kept = keep_backups(loaded, force=True)
    assert kept.pruned.marked == (older,)
    assert kept.due.reason == "asked for"
    foretold = keep_backups(loaded, dry_run=True)
    assert not foretold.changed
    assert ids(loaded) == sorted([older, kept.made.id], reverse=True)


def test_a_dry_run_tells_what_would_be_done(loaded):
    foretold = keep_backups(loaded, dry_run=True)
    assert foretold.changed
    assert foretold.made is None
    assert ids(loaded) == []


def test_a_damaged_new_backup_removes_no_older_one(loaded, monkeypatch):
    older = keep_backups(loaded).made.id

    def damaged(_catalog, backup_id, *, tier, on_event):
        return VerifyResult(backup_id, tier, 1, 1, 0, ("an object is missing",))

    monkeypatch.setattr("kitestring.enforce.backups.verify", damaged)
    kept = keep_backups(loaded, force=True)
    assert (kept.exit_code, kept.problems, kept.pruned) == (2, ("an object is missing",), None)
    left = {s.id: s.marked_at for s in open_catalog(loaded).summaries()}
    assert left[older] is None


def test_a_dry_run_counts_the_backup_that_would_be_made(loaded):
    older = keep_backups(loaded).made.id
    foretold = keep_backups(loaded, force=True, dry_run=True)
    assert foretold.pruned.marked == (older,)
    assert [s.marked_at for s in open_catalog(loaded).summaries()] == [None]
    done = keep_backups(loaded, force=True)
    assert done.pruned.marked == foretold.pruned.marked


def test_a_dry_run_fails_where_no_server_answers(loaded, monkeypatch):
    def connect(_loaded):
        raise ServerUnreachable("no Milvus answers at http://127.0.0.1:19530")

    monkeypatch.setattr("kitestring.clients.milvus.connect.connect", connect)
    with pytest.raises(ServerUnreachable):
        keep_backups(loaded, dry_run=True)
