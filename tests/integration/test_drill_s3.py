"""Drills to a server that keeps its segments in a bucket, of a physical and a logical backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from kitestring.backup.drill_history import open_history
from kitestring.cli import cli, run
from kitestring.model.collection import Field, Index, Schema
from kitestring.spec.load import load
from tests.remote_storage import remote_storage

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState

pytestmark = pytest.mark.server
SCHEMA = Schema((Field("pk", "INT64", primary=True), Field("v", "FLOAT_VECTOR", dim=8)))
STORAGE = {
    "type": "s3",
    "bucket": "drills",
    "prefix": "files",
    "access_key": {"env": "KS_USER"},
    "secret_key": {"env": "KS_SECRET"},
}


@pytest.fixture
def target(
    tmp_path: Path, moto: str, s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The spec of a second server, whose data is in a bucket."""
    from kitestring.local import running

    monkeypatch.setenv("KS_USER", "user")
    monkeypatch.setenv("KS_SECRET", "a-secret")
    s3_client.create_bucket(Bucket="drills")
    settings = remote_storage(moto, "drills", "files")
    with running(tmp_path / "second", timeout=120, extra_config=settings, remove=True) as state:
        file = tmp_path / "second.yaml"
        file.write_text(
            yaml.safe_dump(
                {
                    "version": 1,
                    "cluster": {"name": "second"},
                    "connection": {"uri": state.uri, "timeout": "20s"},
                    "state": "state",
                    "storage": STORAGE | {"endpoint_url": moto},
                }
            )
        )
        yield file


@pytest.fixture
def source(tmp_path: Path, stack: StackState, stack_data: Path) -> Path:
    """The spec of the session's server."""
    assert stack.port
    file = tmp_path / "cluster.yaml"
    document = {
        "version": 1,
        "cluster": {"name": "first"},
        "connection": {"embedded": str(stack_data), "timeout": "20s"},
        "state": "state",
        "storage": {"type": "embedded"},
        "backup": {"store": {"type": "local", "path": "backups"}},
        "objectives": {"rpo": "48h", "rto": "10m"},
    }
    file.write_text(yaml.safe_dump(document))
    return file


def test_segments_go_to_a_bucket_and_rows_of_either_method_come_back(
    milvus: MilvusServer, source: Path, target: Path, s3_client: Any, unique: Callable[[str], str]
) -> None:
    name = unique("s")
    vectors = np.random.default_rng(2).standard_normal((900, 8)).astype(np.float32)

    def kitestring(*arguments: str) -> int:
        return run(cli, [*arguments, "--spec", str(source)], "kitestring")

    milvus.create_collection(name, SCHEMA)
    try:
        for start in (0, 300, 600):
            rows = range(start, start + 300)
            milvus.insert(name, [{"pk": n, "v": vectors[n].tolist()} for n in rows])
            milvus.flush(name)
        milvus.create_index(name, Index("v", "v", "FLAT", "L2"))
        milvus.load(name)
        milvus.delete(name, [3, 4])
        for method in ("physical", "logical"):
            assert kitestring("backup", "create", "-c", name, "--method", method) == 0
            assert kitestring("drill", "run", "--target-spec", str(target)) == 0
            record = open_history(load(source)).record("latest")
            (score,) = record.collections
            assert (record.method, record.target) == (method, "second")
            assert (score.rows_restored, score.deleted_present) == (898, 0)
            assert score.keys_match
            assert score.content_match
            assert score.recall is not None
            assert score.recall.mean == 1.0
        assert kitestring("drill", "run", "--target-spec", str(target), "--sample", "0.3") == 0
        record = open_history(load(source)).record("latest")
        assert record.method == "logical"
        assert record.sampled is not None
        assert record.collections[0].content_match
    finally:
        milvus.drop_collection(name)
    found = s3_client.list_objects_v2(Bucket="drills", Prefix="files/insert_log/")
    assert found["KeyCount"] > 0
