"""A backup that milvus-backup made, restored into a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState

pytestmark = pytest.mark.server
SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "segments" / "v1" / "backup_demo"
NAMES = ("hello_milvus", "hello_milvus2")


@pytest.fixture
def spec_file(tmp_path: Path, stack: StackState, stack_data: Path) -> Path:
    if not SAMPLE.is_dir():
        pytest.skip(f"the sample files are not there: {SAMPLE}")
    assert stack.port
    file = tmp_path / "cluster.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "version": 1,
                "cluster": {"name": "old"},
                "connection": {"embedded": str(stack_data), "timeout": "20s"},
                "state": "state",
                "storage": {"type": "embedded"},
                "backup": {"store": {"type": "local", "path": "backups"}},
            }
        )
    )
    return file


@pytest.fixture
def dropped(milvus: MilvusServer) -> Iterator[None]:
    yield
    for name in milvus.list_collections():
        if name.removeprefix("from_") in NAMES:
            milvus.drop_collection(name)


def test_an_imported_backup_restores_and_drills(
    spec_file: Path, milvus: MilvusServer, dropped: None, capsys: pytest.CaptureFixture[str]
) -> None:
    from kitestring.cli import cli, run
    from kitestring.model.digest import digest_batches

    at = ["--spec", str(spec_file)]
    assert run(cli, ["backup", "import", str(SAMPLE), *at, "-o", "json"], "kitestring") == 0
    manifest = json.loads(capsys.readouterr().out)
    assert run(cli, ["backup", "verify", manifest["id"], *at], "kitestring") == 0
    assert run(cli, ["restore", manifest["id"], "--prefix", "from_", *at], "kitestring") in (0, 2)
    for backup in manifest["collections"]:
        name = f"from_{backup['name']}"
        assert not milvus.describe(name).loaded  # it was not
        kinds = {state.index.type for state in milvus.describe(name).indexes}
        assert kinds == {index["type"] for index in backup["indexes"]}
        if not any(index["field"] == "embeddings" for index in backup["indexes"]):
            continue  # the server loads no collection without an index on its vectors
        milvus.load(name)
        columns = [field["name"] for field in backup["schema"]["fields"]]
        found = digest_batches("pk", milvus.scan(name, columns))
        assert (found.rows, found.keys, found.content) == tuple(
            backup["digest"][part] for part in ("rows", "keys", "content")
        )
    capsys.readouterr()
    code = run(cli, ["drill", "run", "--backup", manifest["id"], *at, "-o", "json"], "kitestring")
    out = capsys.readouterr()
    record = json.loads(out.out)
    assert code == 0, out
    assert record["passed"]
    assert [c["content_match"] for c in record["collections"]] == [True, True]
    assert [c["rows_restored"] for c in record["collections"]] == [2990, 6000]
