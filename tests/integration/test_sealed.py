"""Sealed and signed backups of a real server: made, verified, opened by public tools, restored."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from kitestring.model.collection import Field, Index, Schema
from kitestring.model.digest import digest_batches
from tests.verbs import kitestring

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState

pytestmark = pytest.mark.server
DIM, ROWS = 16, 2_000
SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64),
        Field("v", "FLOAT_VECTOR", dim=DIM),
        Field("text", "VARCHAR", max_length=1000),
    )
)
SECRET = "a sentence that nobody else may read"


@pytest.fixture
def name(milvus: MilvusServer, unique: Callable[[str], str]) -> Iterator[str]:
    """A loaded collection; it and every copy of it are dropped afterwards."""
    made = unique("s")
    milvus.create_collection(made, SCHEMA)
    milvus.create_index(made, Index("v", "v", "HNSW", "COSINE", {"M": "8", "efConstruction": "64"}))
    milvus.load(made)
    vectors = np.random.default_rng(1).standard_normal((ROWS, DIM)).astype(np.float32)
    milvus.upsert(
        made,
        [
            {"id": f"k{n:05d}", "v": vectors[n].tolist(), "text": f"{SECRET}, number {n}"}
            for n in range(ROWS)
        ],
    )
    yield made
    for found in milvus.list_collections():
        if made in found:
            milvus.drop_collection(found)


@pytest.fixture
def spec(tmp_path: Path, stack: StackState, stack_data: Path) -> Path:
    """A spec whose backups are sealed to one recipient and signed."""
    from kitestring.backup.seal.keys import new_pair

    new_pair(tmp_path / "keys", "signing")
    recipient = new_pair(tmp_path / "keys", "age").name
    assert stack.port
    file = tmp_path / "cluster.yaml"
    document: dict[str, Any] = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {"embedded": str(stack_data), "timeout": "20s"},
        "state": "state",
        "storage": {"type": "embedded"},
        "backup": {
            "store": {"type": "local", "path": "backups"},
            "signing": {"key": {"file": "keys/signing.key"}, "trusted": ["keys/signing.pub"]},
            "encryption": {
                "type": "age",
                "recipients": [recipient],
                "identity": {"file": "keys/age.key"},
            },
        },
    }
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.mark.parametrize("method", ["physical", "logical"])
def test_sealed_backups_are_whole_secret_and_restorable(
    milvus: MilvusServer,
    name: str,
    spec: Path,
    method: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    where = ("--spec", str(spec))
    assert kitestring("backup", "create", "-c", name, "--method", method, *where) == 0
    capfd.readouterr()
    assert kitestring("backup", "verify", "--tier", "full", *where) == 0
    assert "is whole" in capfd.readouterr().out
    assert kitestring("backup", "show", "--output", "json", *where) == 0
    manifest = json.loads(capfd.readouterr().out)
    pool = spec.parent / "backups" / "pool"
    objects = [p for p in pool.rglob("*") if p.is_file()]
    assert objects
    for path in objects:
        data = path.read_bytes()
        assert data.startswith(b"age-encryption.org/v1\n")
        assert SECRET.encode() not in data
    listed = {o["key"]: o["sha256"] for c in manifest["collections"] for o in _objects(c)}
    assert {str(p.relative_to(spec.parent / "backups")) for p in objects} == set(listed)
    if shutil.which("age"):
        for key, sha256 in listed.items():
            opened = subprocess.run(
                ["age", "-d", "-i", spec.parent / "keys/age.key", spec.parent / "backups" / key],
                capture_output=True,
                check=True,
            ).stdout
            assert hashlib.sha256(opened).hexdigest() == sha256
    assert kitestring("restore", "latest", "--prefix", "copy_", "--yes", *where) == 0
    columns = [f.name for f in SCHEMA.fields]
    milvus.load(f"copy_{name}")
    copy = digest_batches("id", milvus.scan(f"copy_{name}", columns))
    assert copy == digest_batches("id", milvus.scan(name, columns))
    damaged = bytearray(objects[0].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    objects[0].write_bytes(bytes(damaged))
    capfd.readouterr()
    assert kitestring("backup", "verify", "--tier", "full", *where) == 2
    assert str(objects[0].relative_to(spec.parent / "backups")) in capfd.readouterr().err


def test_a_wrong_identity_and_a_stranger_s_key_stop_everything(
    milvus: MilvusServer, name: str, spec: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from kitestring.backup.seal.age import new_identity
    from kitestring.backup.seal.keys import new_pair

    where = ("--spec", str(spec))
    create = ("backup", "create", "-c", name, "--method", "physical", *where)
    assert kitestring(*create) == 0
    keys = spec.parent / "keys"
    right = (keys / "age.key").read_text()
    (keys / "age.key").write_text(new_identity()[0])
    for verb in (("backup", "verify"), ("restore", "latest", "--prefix", "copy_", "--yes")):
        capfd.readouterr()
        assert kitestring(*verb, *where) != 0
        assert "damaged" not in capfd.readouterr().out
    assert f"copy_{name}" not in milvus.list_collections()
    (keys / "age.key").write_text(right)
    new_pair(spec.parent / "other", "signing")
    (spec.parent / "other/signing.pub").replace(keys / "signing.pub")
    capfd.readouterr()
    assert kitestring("backup", "verify", *where) == 2
    assert "which the spec does not trust" in capfd.readouterr().err
    assert kitestring(*create) == 1
    assert "is not among" in capfd.readouterr().err


def _objects(collection: dict[str, Any]) -> list[dict[str, Any]]:
    of_segments = [
        o for s in collection["segments"] for kind in ("insert", "delta", "stats") for o in s[kind]
    ]
    of_parts = [
        part[kind]
        for part in collection["parts"]
        for kind in ("object", "index", "gone")
        if part.get(kind)
    ]
    return of_segments + of_parts
