"""Restores on a real server: databases, partitions, users and roles, instants, plans."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from kitestring.cli import cli, run
from kitestring.model.access import Privilege
from kitestring.model.backup import BackupManifest
from kitestring.model.collection import Field, Index, Schema
from kitestring.spec.load import load

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState

pytestmark = pytest.mark.server
DIM = 16
SCHEMA = Schema(
    (
        Field("pk", "INT64", primary=True),
        Field("v", "FLOAT_VECTOR", dim=DIM),
        Field("text", "VARCHAR", max_length=100),
    ),
    dynamic=True,
)
INDEX = Index("v", "v", "HNSW", "L2", {"M": "8", "efConstruction": "64"})
TOKEN = "root:Milvus"


def rows(start: int, stop: int, **more: Any) -> list[dict[str, Any]]:
    vectors = np.random.default_rng(start + 1).normal(size=(stop - start, DIM))
    return [
        {"pk": n, "v": v.astype(np.float32).tolist(), "text": f"text {n}", "n": n, **more}
        for n, v in zip(range(start, stop), vectors, strict=True)
    ]


@pytest.fixture
def server(stack: StackState) -> Iterator[MilvusServer]:
    """As root: without a name, the server does not know who grants."""
    from kitestring.clients.milvus.client import MilvusServer

    with MilvusServer(stack.uri, token=TOKEN, timeout=20) as found:
        yield found


@pytest.fixture
def swept(server: MilvusServer) -> Iterator[None]:
    """Everything that a test makes is gone after it."""
    from kitestring.clients.milvus.client import MilvusServer as Server

    before = (server.list_collections(), server.admin.list_databases())
    yield
    for name in set(server.admin.list_databases()) - set(before[1]):
        with Server(server.uri, token=TOKEN, database=name, timeout=20) as inside:
            drop(inside, inside.list_collections())
        server.admin.drop_database(name)
    drop(server, [n for n in server.list_collections() if n not in before[0]])
    for user in set(server.admin.list_users()) - {"root"}:
        server.admin.drop_user(user)
    for role in set(server.admin.list_roles()) - {"admin", "public"}:
        server.admin.drop_role(role)


def drop(server: MilvusServer, names: list[str]) -> None:
    for name in names:
        for alias in server.describe(name).aliases:
            server.drop_alias(alias)
        server.drop_collection(name)


@pytest.fixture
def spec_file(
    tmp_path: Path, stack: StackState, stack_data: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setenv("KS_TEST_TOKEN", TOKEN)
    assert stack.port
    document = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {
            "embedded": str(stack_data),
            "timeout": "20s",
            "token": {"env": "KS_TEST_TOKEN"},
        },
        "state": "state",
        "storage": {"type": "embedded"},
        "backup": {"store": {"type": "local", "path": "backups"}},
    }
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def backed_up(spec_file: Path, server: MilvusServer, *names: str) -> BackupManifest:
    from kitestring.backup.create import create_backup

    return create_backup(load(spec_file), server, collections=list(names))


def restored(spec_file: Path, *arguments: str) -> int:
    return run(cli, ["restore", *arguments, "--spec", str(spec_file)], "kitestring")


@pytest.fixture
def make(server: MilvusServer, swept: None, unique: Callable[[str], str]) -> Callable[..., str]:
    def create(schema: Schema = SCHEMA, index: Index = INDEX, **options: Any) -> str:
        name = unique("r")
        server.create_collection(name, schema, **options)
        server.create_index(name, index)
        server.load(name)
        return name

    return create


def test_a_backup_goes_to_a_new_database_with_its_users_roles_and_grants(
    server: MilvusServer,
    make: Callable[..., str],
    spec_file: Path,
    unique: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    from kitestring.clients.milvus.client import MilvusServer as Server

    name, database = make(), unique("d")
    role, user = (f"{what}_{database[-8:]}" for what in ("role", "user"))  # short ones only
    server.insert(name, rows(0, 400))
    server.create_alias(name, f"{name}_now")
    grants = {Privilege("Collection", name, "Search"), Privilege("Global", "*", "ShowCollections")}
    admin = server.admin
    admin.create_role(role)
    for grant in grants:
        admin.grant(role, grant)
    admin.create_user(user, "Secret-123")
    admin.give_role(user, role)
    manifest = backed_up(spec_file, server, name)
    assert manifest.access is not None
    assert set(manifest.access.roles[role]) == grants
    admin.drop_user(user)
    admin.drop_role(role)

    # nobody knows the password: all the rest comes back, and the user is named
    arguments = [manifest.id, "--database", database]
    assert restored(spec_file, *arguments, "--dry-run", "-o", "json") == 2
    plan = json.loads(capsys.readouterr().out)
    assert (plan["creates_database"], plan["database"]) == (True, database)
    assert database not in admin.list_databases()
    assert restored(spec_file, *arguments, "-o", "json") == 2
    result = json.loads(capsys.readouterr().out)
    assert [text for text in result["not_restored"] if user not in text] == []
    with Server(server.uri, token=TOKEN, database=database, timeout=20) as inside:
        assert inside.count(name) == 400
        assert inside.describe(name).loaded
        assert inside.alias_owner(f"{name}_now") == name
        assert inside.admin.privileges(role) == grants
    assert user not in admin.list_users()

    passwords = spec_file.parent / "passwords"
    passwords.write_text(f"{user}: Another-123\n")
    assert restored(
        spec_file, manifest.id, "--prefix", "b_", "--database", database, "--access",
        "--no-aliases", "--user-passwords", str(passwords),
    ) == 0  # fmt: skip
    assert admin.roles_of(user) == (role,)
    with Server(server.uri, token=TOKEN, database=database, timeout=20) as inside:
        assert Privilege("Collection", f"b_{name}", "Search") in inside.admin.privileges(role)


def test_single_partitions_come_back_alone(
    server: MilvusServer, make: Callable[..., str], spec_file: Path
) -> None:
    name = make(partitions=["_default", "a", "b"])
    for part, (start, stop) in {"a": (0, 120), "b": (200, 350)}.items():
        server._client.insert(name, rows(start, stop), partition_name=part)
    server.flush(name)
    server.delete(name, [3, 4, 210])
    manifest = backed_up(spec_file, server, name)
    assert restored(spec_file, manifest.id, "--prefix", "only_", "--partition", "a") == 0
    assert server.count(f"only_{name}") == 118
    assert {p.name for p in server.describe(f"only_{name}").partitions} == {"_default", "a"}
    assert restored(spec_file, manifest.id, "--prefix", "x_", "--partition", "nope") == 1
    assert not server.has_collection(f"x_{name}")


def test_rows_are_found_by_a_partition_key_of_another_number_than_the_default(
    server: MilvusServer, make: Callable[..., str], spec_file: Path
) -> None:
    fields = (*SCHEMA.fields, Field("tenant", "VARCHAR", max_length=20, partition_key=True))
    name = make(Schema(fields), key_partitions=5)
    made = [row | {"tenant": f"t{row['pk'] % 9}"} for row in rows(0, 300)]
    server.insert(name, [{k: v for k, v in row.items() if k != "n"} for row in made])
    manifest = backed_up(spec_file, server, name)
    assert restored(spec_file, manifest.id, "--prefix", "k_") == 0
    assert len(server.describe(f"k_{name}").partitions) == 5
    for tenant in range(9):
        where = f'tenant == "t{tenant}"'
        wanted = server.count(name, filter=where)
        assert wanted
        assert server.count(f"k_{name}", filter=where) == wanted
    assert restored(spec_file, manifest.id, "--prefix", "p_", "--partition", "_default_0") == 1


def test_an_instant_picks_the_newest_backup_that_holds_nothing_later(
    server: MilvusServer,
    make: Callable[..., str],
    spec_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = make()
    server.insert(name, rows(0, 100))
    first = backed_up(spec_file, server, name)
    server.insert(name, rows(100, 150))
    second = backed_up(spec_file, server, name)
    at = instant((first.boundary + second.boundary) // 2)
    assert restored(spec_file, "--at", at, "--prefix", "then_", "--no-aliases") == 0
    assert server.count(f"then_{name}") == 100
    assert restored(spec_file, "--at", instant(first.boundary - 1), "--prefix", "no_") == 1
    assert "the oldest one is of" in capsys.readouterr().err
    assert restored(spec_file, "--at", "2026-01-01T00:00:00", "--prefix", "no_") == 64
    assert restored(spec_file, first.id, "--at", at) == 64
    assert restored(spec_file) == 64


def instant(ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def test_replacing_keeps_the_old_collection_until_the_new_one_is_whole(
    server: MilvusServer,
    make: Callable[..., str],
    spec_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = make()
    server.insert(name, rows(0, 200))
    server.create_alias(name, f"{name}_now")
    manifest = backed_up(spec_file, server, name)
    server.delete(name, list(range(50)))
    server.create_alias(name, f"{name}_later")
    before = server.describe(name).id

    from kitestring.clients.milvus.client import MilvusServer as Server

    real, calls = Server.rename_collection, []

    def fails(self: Server, old: str, new: str) -> None:
        from kitestring.errors import MilvusError

        calls.append(old)
        if len(calls) == 2:
            raise MilvusError("no etcd")
        real(self, old, new)

    with monkeypatch.context() as patched:
        patched.setattr(Server, "rename_collection", fails)
        assert restored(spec_file, manifest.id, "--overwrite", "--yes") == 2
    assert (server.describe(name).id, server.count(name)) == (before, 150)
    assert server.alias_owner(f"{name}_now") == name
    assert [n for n in server.list_collections() if name in n] == [name]

    assert restored(spec_file, manifest.id, "--overwrite", "--yes") == 0
    assert server.describe(name).id != before
    assert server.count(name) == 200
    assert server.alias_owner(f"{name}_now") == name
    assert server.alias_owner(f"{name}_later") == name
    assert [n for n in server.list_collections() if name in n] == [name]


@pytest.fixture
def staged(stack: StackState) -> Iterator[Path]:
    """What restores copy to the server; what a killed one leaves there goes after the test."""
    folder = Path(stack.root_path) / "kitestring-restore"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


_KILLED = """
import os, signal, sys
from kitestring.backup.restore import rows
from kitestring.cli import cli, run
rows.await_imports = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
run(cli, sys.argv[1:], "kitestring")
"""


def test_a_killed_restore_leaves_no_half_collection_under_its_name(
    server: MilvusServer,
    make: Callable[..., str],
    spec_file: Path,
    staged: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = make()
    server.insert(name, rows(0, 200))
    manifest = backed_up(spec_file, server, name)
    asked = ["restore", manifest.id, "--rename", f"{name}={name}_copy", "--spec", str(spec_file)]
    killed = subprocess.run([sys.executable, "-c", _KILLED, *asked], check=False)
    assert killed.returncode == -signal.SIGKILL
    (half,) = (n for n in server.list_collections() if n.startswith(f"{name}_copy"))
    assert half.startswith(f"{name}_copy_restoring_")
    assert {p for p in staged.rglob("*") if p.is_file()}

    assert run(cli, asked, "kitestring") == 0
    assert f"`{half}` is half of `{name}_copy`" in capsys.readouterr().out
    assert server.count(f"{name}_copy") == 200
    assert not {p for p in staged.rglob("*") if p.is_file()}


def test_a_plan_tells_space_names_and_an_rto_from_past_drills(
    server: MilvusServer,
    make: Callable[..., str],
    spec_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from kitestring.backup.drill_history import open_history
    from kitestring.model.drill import CollectionScore, DrillRecord, Phase

    name = make()
    server.insert(name, rows(0, 500))
    manifest = backed_up(spec_file, server, name)
    before = server.list_collections()

    def plan(*arguments: str) -> Mapping[str, Any]:
        code = restored(spec_file, manifest.id, *arguments, "--dry-run", "-o", "json")
        assert code == 0
        found: Mapping[str, Any] = json.loads(capsys.readouterr().out)
        return found

    bare = plan("--prefix", "p_")
    assert bare["estimate"]["drills"] == 0
    (one,) = bare["collections"]
    assert (one["target"], one["rows"], one["replaces"]) == (f"p_{name}", 500, False)
    assert 0 < bare["staged_bytes"] < bare["needed_bytes"] < bare["free_bytes"]
    score = CollectionScore(name, 1000, 1000, True, True, 0)
    phases = {"target": 9, "copy": 1, "import": 4, "load": 6, "first_answer": 1, "index": 40}
    open_history(load(spec_file)).write(
        DrillRecord(
            "20250131T013000Z-1a2b3c", "b", "test", "v2.3.5", 1, 2, 1, 1.0, 12.0,
            tuple(Phase(n, float(s)) for n, s in phases.items()), (score,), (), True,
            full_seconds=52.0, bytes=2 * manifest.bytes,
        )
    )  # fmt: skip
    told = plan("--overwrite")
    assert told["collections"][0]["replaces"]
    assert told["estimate"]["drills"] == 1
    # half of the drill's rows and bytes: half of the time, but for the first answer
    assert told["estimate"]["answer"]["median"] == pytest.approx(0.5 + 2 + 3 + 1)
    assert told["estimate"]["full"]["median"] == pytest.approx(26.5)
    assert restored(spec_file, manifest.id, "--dry-run") == 1
    assert "already" in capsys.readouterr().err
    assert restored(spec_file, manifest.id, "--overwrite", "--dry-run") == 0
    assert "from the rates of 1 drill" in capsys.readouterr().out
    assert server.list_collections() == before
