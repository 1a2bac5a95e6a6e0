"""A spec adopted from a real server: brownfield names are mapped, and there is no drift."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kitestring.cli import cli, run
from kitestring.model.collection import Field, Index, Schema
from kitestring.spec.load import load

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer

pytestmark = pytest.mark.server

ROWS = [{"sha": f"{n:064x}", "content": f"text {n}", "emb": [float(n), 1.0, 0.0, 0.5] * 2}
        for n in range(20)]  # fmt: skip


@pytest.fixture
def brownfield(milvus: MilvusServer) -> Iterator[str]:
    """A loaded collection with an INT64 key that the server makes, and names of its own."""
    name = f"old_{uuid.uuid4().hex[:8]}"
    schema = Schema(
        (
            Field("pk", "INT64", primary=True, auto_id=True),
            Field("sha", "VARCHAR", max_length=64),
            Field("content", "VARCHAR", max_length=2000),
            Field("price", "DOUBLE"),
            Field("emb", "FLOAT_VECTOR", dim=8),
        ),
        dynamic=True,
        description="made by hand",
    )
    milvus.create_collection(
        name,
        schema,
        shards=2,
        partitions=("archive",),
        properties={"collection.ttl.seconds": "864000"},
    )
    milvus.insert(name, [{**row, "price": 1.5} for row in ROWS])
    milvus.flush(name)
    milvus.create_index(name, Index("emb", "emb", "IVF_FLAT", "L2", {"nlist": "16"}), wait=True)
    milvus.create_index(name, Index("by_sha", "sha", "Trie"), wait=True)
    milvus.load(name)
    milvus.create_alias(name, f"{name}_now")
    yield name
    milvus.drop_alias(f"{name}_now")
    milvus.drop_collection(name)


@pytest.fixture
def tenants(milvus: MilvusServer) -> Iterator[str]:
    """A collection with a partition key, neither indexed nor loaded."""
    name = f"tenants_{uuid.uuid4().hex[:8]}"
    schema = Schema(
        (
            Field("id", "VARCHAR", primary=True, max_length=64),
            Field("org_id", "VARCHAR", max_length=64, partition_key=True),
            Field("vector", "FLOAT_VECTOR", dim=8),
        )
    )
    milvus.create_collection(name, schema)
    yield name
    milvus.drop_collection(name)


def test_adopt_a_live_server(
    milvus: MilvusServer,
    brownfield: str,
    tenants: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "cluster.yaml"
    arguments = ["spec", "adopt", "--uri", milvus.uri, "--name", "old", "--out", str(file)]
    assert run(cli, arguments, "kitestring") == 0
    out = capsys.readouterr()
    assert out.out == ""
    assert f"to {file}" in out.err

    loaded = load(file, {})
    old = loaded.spec.collection(brownfield)
    assert old is not None
    assert (old.fields.id, old.fields.vector) == ("pk", "emb")
    assert (old.fields.text, old.fields.content_hash) == ("content", "sha")
    assert (old.fields.doc_id, old.fields.embedding_model) == (None, None)
    assert old.aliases == [f"{brownfield}_now"]
    assert {(i.field, i.index_name, i.type) for i in old.indexes} == {
        ("emb", "emb", "IVF_FLAT"),
        ("sha", "by_sha", "Trie"),
    }
    assert (old.load.loaded, old.shards, old.partitions) == (True, 2, ["archive"])

    keyed = loaded.spec.collection(tenants)
    assert keyed is not None
    assert (keyed.tenancy, keyed.fields.tenant_id) == ("partition-key", "org_id")
    assert (keyed.load.loaded, keyed.indexes, keyed.partitions) == (False, [], [])


def test_an_adopted_spec_gives_no_drift(
    milvus: MilvusServer, brownfield: str, tenants: str, tmp_path: Path
) -> None:
    from kitestring.drift.run import detect

    file = tmp_path / "cluster.yaml"
    arguments = ["spec", "adopt", "--uri", milvus.uri, "--out", str(file)]
    assert run(cli, arguments, "kitestring") == 0
    ours = (f"/{brownfield}", f"/{tenants}")

    def differences() -> list[tuple[str, str]]:
        report = detect(load(file, {}), only=["schema", "index", "alias", "load"])
        found = [f for r in report.runs for f in r.findings]
        return [(f.check, f.message) for f in found if any(o in f.subject for o in ours)]

    assert differences() == []
    file.write_text(file.read_text().replace("shards: 2", "shards: 3"))
    assert differences() == [("schema.drift", "`shards` differs")]
