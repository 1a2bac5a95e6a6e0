"""Drills to given servers, of samples, of binary vectors, of users and roles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from kitestring.backup.drill_history import open_history
from kitestring.cli import cli, run
from kitestring.model.access import Privilege
from kitestring.model.collection import Field, Index, Schema
from kitestring.model.drill import DrillRecord
from kitestring.spec.load import load
from tests.relay import relayed

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState

pytestmark = pytest.mark.server
TOKEN = "root:Milvus"
SCHEMA = Schema((Field("pk", "INT64", primary=True), Field("v", "FLOAT_VECTOR", dim=8)))
INDEX = Index("v", "v", "HNSW", "L2", {"M": "8", "efConstruction": "64"})


def spec(folder: Path, name: str, connection: dict[str, Any], **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    document = {
        "version": 1,
        "cluster": {"name": name},
        "connection": connection | {"timeout": "20s", "token": {"env": "KS_TEST_TOKEN"}},
        "state": "state",
        **more,
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture
def source(
    tmp_path: Path, stack: StackState, stack_data: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The spec of the session's server."""
    assert stack.port
    monkeypatch.setenv("KS_TEST_TOKEN", TOKEN)
    return spec(
        tmp_path / "source",
        "source",
        {"embedded": str(stack_data)},
        storage={"type": "embedded"},
        backup={"store": {"type": "local", "path": "backups"}},
        objectives={"rpo": "48h", "rto": "10m"},
    )


@pytest.fixture
def server(stack: StackState) -> Iterator[MilvusServer]:
    from kitestring.clients.milvus.client import MilvusServer

    with MilvusServer(stack.uri, token=TOKEN, timeout=20) as found:
        yield found


@pytest.fixture
def backed_up(
    server: MilvusServer, source: Path, unique: Callable[[str], str]
) -> Iterator[Callable[..., str]]:
    """Makes a collection and a backup of it alone; the collection is dropped afterwards."""
    from kitestring.backup.create import create_backup

    made: list[str] = []

    def make(schema: Schema, index: Index, parts: list[list[dict[str, Any]]]) -> str:
        name = unique("t")
        made.append(name)
        server.create_collection(name, schema)
        for part in parts:
            server.insert(name, part)
            server.flush(name)
        server.create_index(name, index)
        server.load(name)
        server.create_alias(name, f"{name}_now")
        create_backup(load(source), server, collections=[name])
        return name

    yield make
    for name in made:
        if server.has_collection(name):
            server.drop_alias(f"{name}_now")
            server.drop_collection(name)


def rows(start: int, stop: int) -> list[dict[str, Any]]:
    vectors = np.random.default_rng(start + 1).normal(size=(stop - start, 8)).astype(np.float32)
    return [{"pk": n - 50, "v": v.tolist()} for n, v in zip(range(start, stop), vectors)]  # noqa: B905


def drilled(source: Path, *arguments: str) -> int:
    return run(cli, ["drill", "run", "--spec", str(source), *arguments], "kitestring")


def newest(source: Path) -> DrillRecord:
    return open_history(load(source)).record("latest")


@pytest.fixture
def relay(stack: StackState) -> Iterator[int]:
    """A port that leads to the session's server, as a balancer's does."""
    assert stack.port
    with relayed(stack.port) as port:
        yield port


def test_a_given_server_gets_a_database_for_the_drill_and_keeps_nothing_of_it(
    server: MilvusServer,
    source: Path,
    backed_up: Callable[..., str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from kitestring.clients.milvus.client import MilvusServer as Server
    from kitestring.local import running

    name = backed_up(SCHEMA, INDEX, [rows(0, 300)])
    data = tmp_path / "target"
    with running(data, timeout=120, remove=True) as state:
        other = spec(tmp_path / "o", "other", {"embedded": str(data)}, storage={"type": "embedded"})
        with Server(state.uri, token=TOKEN, timeout=20) as target:
            # a namesake with an alias that the backup has too
            target.create_collection(name, SCHEMA)
            target.create_alias(name, f"{name}_now")
            assert drilled(source, "--target-spec", str(other), "-o", "json") == 0
            record = newest(source)
            assert json.loads(capsys.readouterr().out)["id"] == record.id
            assert (record.target, record.passed) == ("other", True)
            (score,) = record.collections
            assert (score.rows_restored, score.differences) == (300, ())
            assert "users, roles and grants were not compared" in " ".join(record.notes)
            assert target.admin.list_databases() == ["default"]
            assert target.list_collections() == [name]
            assert target.alias_owner(f"{name}_now") == name
            staged = Path(state.root_path) / "kitestring-restore"
            assert not [p for p in staged.rglob("*") if p.is_file()]

            assert drilled(source, "--target-spec", str(other), "--keep") == 0
            (kept,) = set(target.admin.list_databases()) - {"default"}
            assert kept in " ".join(newest(source).notes)
            with Server(state.uri, token=TOKEN, database=kept, timeout=20) as inside:
                assert inside.count(name) == 300


def test_the_source_is_refused_behind_another_address(
    server: MilvusServer,
    source: Path,
    backed_up: Callable[..., str],
    relay: int,
    stack: StackState,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = backed_up(SCHEMA, INDEX, [rows(0, 50)])
    before = (server.list_collections(), server.admin.list_databases())
    drills = open_history(load(source)).ids()

    def refused(words: str, **more: Any) -> None:
        behind = spec(tmp_path / "b", "behind", {"uri": f"http://127.0.0.1:{relay}"}, **more)
        assert drilled(source, "--target-spec", str(behind)) == 1
        assert words in capsys.readouterr().err
        assert open_history(load(source)).ids() == drills  # nothing was tried
        assert (server.list_collections(), server.admin.list_databases()) == before

    refused("is the one that was backed up")
    refused("keep their segments", storage={"type": "local", "path": stack.root_path})
    server.drop_alias(f"{name}_now")
    server.drop_collection(name)
    before = (server.list_collections(), server.admin.list_databases())
    refused("is there on the source")


def test_a_sample_says_what_it_is_and_is_no_full_drill(
    source: Path, backed_up: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    backed_up(SCHEMA, INDEX, [rows(n, n + 200) for n in range(0, 1000, 200)])
    assert drilled(source, "--sample", "0.3") == 0
    assert "sample of 40%" in capsys.readouterr().out
    record = newest(source)
    assert record.sampled == pytest.approx(0.4)
    (score,) = record.collections
    assert (score.rows_expected, score.rows_restored) == (400, 400)
    assert score.keys_match
    assert score.content_match
    assert score.recall is not None
    assert "rto" not in {o.name for o in record.objectives}
    assert "it proves nothing" in " ".join(record.notes)
    assert drilled(source, "--sample", "1.5") == 64


def test_binary_vectors_and_users_are_drilled(
    server: MilvusServer, source: Path, backed_up: Callable[..., str]
) -> None:
    schema = Schema((Field("pk", "INT64", primary=True), Field("bits", "BINARY_VECTOR", dim=64)))
    bits = np.random.default_rng(4).integers(0, 256, size=(1500, 8)).astype(np.uint8)
    written = [{"pk": 7 * n - 3000, "bits": row.tobytes()} for n, row in enumerate(bits)]
    server.admin.create_role("drilled")
    server.admin.grant("drilled", Privilege("Global", "*", "ShowCollections"))
    server.admin.create_user("somebody", "Secret-123")
    server.admin.give_role("somebody", "drilled")
    try:
        backed_up(schema, Index("bits", "bits", "BIN_FLAT", "JACCARD"), [written])
        assert drilled(source) == 0
    finally:
        server.admin.drop_user("somebody")
        server.admin.drop_role("drilled")
    record = newest(source)
    (score,) = record.collections
    assert score.recall is not None
    assert score.recall.mean == 1.0
    assert score.recall.against_source == 1.0
    assert {o.name: o.met for o in record.objectives}["access"]
    assert record.differences == ()
