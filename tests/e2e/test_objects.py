"""What is inside Milvus as resources, on a real server that asks for a password."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kitestring.model.collection import DEFAULT_GROUP
from tests.e2e.pulumi_engine import Engine, EngineFailed
from tests.e2e.toolchain.build import Toolchain

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState

pytestmark = pytest.mark.server

ROOT_TOKEN, APP_PASSWORD = "root:Milvus", "secret-of-app"  # the server is new and a test's
PROGRAM = """\
from pathlib import Path

from kitestring.provision.objects.component import MilvusObjects, MilvusObjectsArgs
from kitestring.spec.load import load

MilvusObjects("milvus", MilvusObjectsArgs(load(Path("spec.yaml"))))
"""
IMPORTING = """\
import pulumi

from kitestring.provision.objects.resources import CLASSES
from kitestring.provision.stack import explained

with explained():
    CLASSES["role"]("reader", {"name": "reader"}, pulumi.ResourceOptions(import_="reader"))
"""
SETTINGS = "name: kitestring\nruntime: {name: python, options: {virtualenv: ../.venv}}\n"
INDEX = {
    "field": "embedding", "type": "HNSW", "metric": "COSINE",
    "params": {"M": 8, "efConstruction": 32},
}  # fmt: skip


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, StackState]]:
    """A server with authentication on, and its data directory."""
    from kitestring.errors import LocalError, LocalStartFailed
    from kitestring.local import running
    from kitestring.local.wheel import find_wheel

    try:
        find_wheel()
    except LocalStartFailed:
        raise
    except LocalError as error:
        pytest.skip(error.message)
    data = tmp_path_factory.mktemp("secured")
    with running(data, timeout=120, authorization=True, remove=True) as state:
        yield data, state


@pytest.fixture(scope="module")
def root(secured: tuple[Path, StackState]) -> Iterator[MilvusServer]:
    from kitestring.clients.milvus.client import MilvusServer

    with MilvusServer(secured[1].uri, token=ROOT_TOKEN, timeout=20) as server:
        yield server


Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, secured: tuple[Path, StackState], unique: Callable[[str], str]) -> Write:
    """Writes the program's spec: a collection `docs_v1` that keywords change."""

    def spec(collection: Mapping[str, Any] | None = None, **top: Any) -> None:
        document: dict[str, Any] = {
            "version": 1,
            "cluster": {"name": "test", "environment": "test"},
            "connection": {
                "embedded": str(secured[0]), "token": {"env": "ROOT_TOKEN"}, "timeout": "20s",
            },
            "state": "state",
            "models": [{"provider": "hashing", "name": "w", "version": "1", "dimension": 16}],
            "collections": [
                {
                    "name": "docs_v1",
                    "model": "w@1",
                    "partitions": ["p1"],
                    "properties": {"collection.ttl.seconds": "86400"},
                    "indexes": [INDEX],
                    "aliases": ["docs"],
                    **(collection or {}),
                }
            ],
            "access": {
                "roles": [{"name": "reader", "grants": [
                    {"object": "Collection", "name": "*", "privileges": ["Search", "Query"]},
                ]}],
                "users": [
                    {"name": "app", "password": {"env": "APP_PASSWORD"}, "roles": ["reader"]}
                ],
            },
            **top,
        }  # fmt: skip
        (tmp_path / "program").mkdir(exist_ok=True)
        (tmp_path / "program" / "spec.yaml").write_text(yaml.safe_dump(document))

    return spec


@pytest.fixture
def engine(
    tmp_path: Path, toolchain: Toolchain, write: Write, root: MilvusServer
) -> Iterator[Engine]:
    """The real engine with a stack of its own; the server is empty again afterwards."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "__main__.py").write_text(PROGRAM)
    (source / "Pulumi.yaml").write_text(SETTINGS)
    made = Engine(
        tmp_path, toolchain.folders, stack="t", program=source,
        environment={"ROOT_TOKEN": ROOT_TOKEN, "APP_PASSWORD": APP_PASSWORD},
    )  # fmt: skip
    made.init({})
    write()
    yield made
    _empty(root)


def _empty(root: MilvusServer) -> None:
    for name in root.list_collections():
        for alias in root.describe(name).aliases:
            root.drop_alias(alias)
        root.drop_collection(name)
    for user in root.admin.list_users():
        if user != "root":
            root.admin.drop_user(user)
    for role in root.admin.list_roles():
        if role not in ("admin", "public"):
            root.admin.drop_role(role)
    for group in root.groups.all():
        if group.name != DEFAULT_GROUP:
            root.groups.drop(group.name)


def names(outcome: Any, op: str) -> list[str]:
    return sorted(s.name.removeprefix("milvus-") for s in outcome.changed if s.op == op)


def row(key: str) -> dict[str, Any]:
    return {
        "id": key, "embedding": [0.1] * 16, "tenant_id": "t", "doc_id": "d", "chunk_index": 0,
        "text": "x", "content_hash": "h", "embedding_model": "w@1", "chunker": "c",
        "last_embedded_at": 0,
    }  # fmt: skip


def test_up_again_by_hand_and_back(
    engine: Engine, root: MilvusServer, secured: tuple[Path, StackState]
) -> None:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.errors import AuthenticationFailed, PermissionDenied
    from kitestring.model.access import Privilege

    assert engine.preview().ok
    assert root.list_collections() == []  # a preview touches nothing
    engine.up()
    info = root.describe("docs")
    assert (info.name, info.loaded, info.replicas) == ("docs_v1", True, 1)
    assert [p.name for p in info.partitions] == ["_default", "p1"]
    uri = secured[1].uri
    with MilvusServer(uri, token=f"app:{APP_PASSWORD}") as app:
        assert app.count("docs_v1") == 0
        with pytest.raises(PermissionDenied):
            app.drop_collection("docs_v1")
    with pytest.raises(AuthenticationFailed):
        MilvusServer(uri, token="app:another")

    assert engine.preview().unchanged
    assert not engine.up().changed
    text = str(engine.export())
    assert "ROOT_TOKEN" in text  # where the token is
    for secret in (ROOT_TOKEN, APP_PASSWORD):
        assert secret not in text
    shown = engine._run("stack", "export", "--stack", engine.stack, "--show-secrets")
    assert ROOT_TOKEN not in shown  # not even encrypted, in the pickled provider
    assert APP_PASSWORD not in shown

    root.create_collection("other", info.schema)
    root.move_alias("other", "docs")
    root.release("docs_v1")
    root.drop_index("docs_v1", "embedding")
    root.admin.grant("reader", Privilege("Global", "*", "DropCollection"))
    root.admin.alter_collection("docs_v1", {"collection.ttl.seconds": "5"})
    root.admin.change_password("app", APP_PASSWORD, "changed-by-hand")
    seen = engine.refresh()
    assert seen.changes.get("update") == 5, seen.output
    assert seen.changes.get("delete") == 1  # the index is gone
    back = engine.up()
    assert names(back, "create") == ["index-docs_v1-embedding"]
    assert names(back, "update") == [
        "alias-docs", "collection-docs_v1", "grant-reader", "load-docs_v1", "user-app",
    ]  # fmt: skip
    info = root.describe("docs_v1")
    assert root.alias_owner("docs") == "docs_v1"
    assert [i.index.type for i in info.indexes] == ["HNSW"]
    assert info.loaded
    assert info.properties["collection.ttl.seconds"] == "86400"
    assert {p.privilege for p in root.admin.privileges("reader")} == {"Search", "Query"}
    MilvusServer(uri, token=f"app:{APP_PASSWORD}").close()
    engine.refresh()
    assert not engine.up().changed


def test_rows_are_not_lost_by_a_change_of_the_spec(
    engine: Engine, root: MilvusServer, write: Write
) -> None:
    engine.up()
    root.insert("docs_v1", [row("a"), row("b")])

    write({"dynamic": False})
    refused = engine.preview(check=False)
    assert not refused.ok
    assert "`default/docs_v1` holds 2 rows" in refused.output
    assert "allow_data_loss[0]' default/docs_v1" in refused.output
    assert "Traceback" not in refused.output
    assert not engine.up(check=False).ok

    write(collections=[], access=None)
    refused = engine.preview(check=False)
    assert not refused.ok
    assert "the collection `default/docs_v1` holds 2 rows" in refused.output
    assert not engine.up(check=False).ok
    assert not engine.destroy(check=False).ok
    assert root.count("docs_v1") == 2
    info = root.describe("docs_v1")  # and nothing else of it was touched
    assert (info.loaded, len(info.indexes), root.alias_owner("docs")) == (True, 1, "docs_v1")

    engine._run("config", "set", "--path", "allow_data_loss[0]", "default/docs_v1")
    write({"dynamic": False})
    replaced = engine.up()
    assert names(replaced, "delete-replaced") == ["collection-docs_v1"], replaced.output
    info = root.describe("docs")
    assert (info.name, info.loaded, info.schema.dynamic) == ("docs_v1", True, False)
    assert root.count("docs_v1") == 0

    engine.destroy()
    assert root.list_collections() == []
    assert root.admin.list_roles() == ["admin", "public"]
    assert root.admin.list_users() == ["root"]


def test_existing_objects_are_adopted_or_named(
    engine: Engine, root: MilvusServer, write: Write
) -> None:
    engine.up()
    shutil.rmtree(engine.backend)  # the state is lost, and the objects are still there
    engine.init({})
    write({"indexes": [{**INDEX, "params": {"M": 16, "efConstruction": 32}}]})
    refused = engine.up(check=False)
    assert "a index `default/docs_v1/embedding` is on the server already" in refused.output
    assert "M is 8, not 16" in refused.output
    write()
    assert engine.up().ok
    write({"indexes": [{**INDEX, "params": {"M": 16, "efConstruction": 32}}]})
    changed = engine.up()
    assert names(changed, "update") == ["index-docs_v1-embedding"]
    assert "searches fall back" in changed.output
    info = root.describe("docs_v1")
    assert (info.indexes[0].index.params["M"], info.loaded) == ("16", True)


def test_query_nodes_are_set_apart_and_given_back(
    engine: Engine, root: MilvusServer, write: Write
) -> None:
    engine.up()
    grouped = {"load": {"resource_groups": ["online"]}}
    write(grouped, resource_groups=[{"name": "online", "nodes": 1}])
    done = engine.up()
    assert (names(done, "create"), names(done, "update")) == (
        ["resource-group-online"], ["load-docs_v1"],
    )  # fmt: skip
    assert {g.name: g.available for g in root.groups.all()} == {DEFAULT_GROUP: 0, "online": 1}
    assert root.describe("docs_v1").resource_groups == ("online",)
    assert engine.preview().unchanged

    root.release("docs_v1")
    root.groups.resize("online", 0)
    root.load("docs_v1")
    assert engine.refresh().changes.get("update") == 2
    assert names(engine.up(), "update") == ["load-docs_v1", "resource-group-online"]
    assert root.describe("docs_v1").resource_groups == ("online",)

    write(grouped, resource_groups=[{"name": "online", "nodes": 2}])
    refused = engine.up(check=False)
    assert "wants 1 more query nodes, and 0 are in no group" in refused.output
    assert "Traceback" not in refused.output
    engine.destroy()
    assert {g.name: g.available for g in root.groups.all()} == {DEFAULT_GROUP: 1}


def test_import_is_what_up_does(
    engine: Engine, root: MilvusServer, write: Write, tmp_path: Path
) -> None:
    """The engine sends a dynamic resource no provider when it imports. Once this fails, it does:
    then docs/how-to/provision.md can say so."""
    root.admin.create_role("reader")
    wanted = {"type": "pulumi-python:dynamic/milvus:Role", "name": "milvus-role-reader",
              "id": "reader"}  # fmt: skip
    (tmp_path / "import.json").write_text(json.dumps({"resources": [wanted]}))
    with pytest.raises(EngineFailed, match="KeyError: '__provider'"):
        engine._run(
            "import", "--stack", engine.stack, "--yes", "--skip-preview",
            "--file", str(tmp_path / "import.json"),
        )  # fmt: skip
    main = engine.folder / "__main__.py"
    source = main.read_text()
    main.write_text(IMPORTING)
    refused = engine.preview(check=False)
    assert "`pulumi up` takes over what is there" in refused.output
    assert "Traceback" not in refused.output
    assert "__provider" not in refused.output
    main.write_text(source)

    root.admin.create_user("app", "another-secret")
    refused = engine.up(check=False)
    assert "adopt[0]' app" in refused.output
    engine._run("config", "set", "--stack", engine.stack, "--path", "adopt[0]", "app")
    engine.up()
    assert root.admin.roles_of("app") == ("reader",)
    assert engine.preview().unchanged


def test_a_wrong_token_is_said_once_and_clearly(engine: Engine) -> None:
    engine.environment = {"ROOT_TOKEN": "root:wrong-one", "APP_PASSWORD": APP_PASSWORD}
    failed = engine.up(check=False)
    assert not failed.ok
    assert "does not accept the token of the variable ROOT_TOKEN" in failed.output
    assert "wrong-one" not in failed.output
    assert "Traceback" not in failed.output
    assert os.environ.get("ROOT_TOKEN") != "root:wrong-one"
