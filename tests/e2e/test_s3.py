"""Backups on a real S3 server: MinIO holds Milvus's segments and the backups."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from kitestring.model.collection import Field, Index, Schema
from tests.e2e.s3.minio import KMS_KEY, Minio, running_minio
from tests.e2e.toolchain.build import Toolchain

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState

DIM, ROWS = 32, 3000
KINDS = ("insert", "delta", "stats")  # of a segment's objects
SCHEMA = Schema(
    (
        Field("id", "INT64", primary=True),
        Field("v", "FLOAT_VECTOR", dim=DIM),
        Field("text", "VARCHAR", max_length=200),
    ),
    dynamic=True,
)
INDEX = Index("v", "v", "HNSW", "COSINE", {"M": "8", "efConstruction": "64"})


@pytest.fixture(scope="module")
def minio(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    with running_minio(toolchain.tool("minio"), tmp_path_factory.mktemp("minio")) as server:
        client = server.client()
        client.create_bucket(Bucket="milvus")
        client.create_bucket(Bucket="plain")
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        yield server


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("milvus")


@pytest.fixture(scope="module")
def stack(minio: Minio, data: Path) -> Iterator[StackState]:
    """A Milvus whose segments are on MinIO."""
    from kitestring.local import running

    settings = {
        **minio.milvus_config("milvus", "files"),
        "dataCoord.compaction.enableAutoCompaction": "false",
    }
    with running(data, timeout=180, remove=True, extra_config=settings) as state:
        yield state


@pytest.fixture(scope="module")
def milvus(stack: StackState) -> Iterator[MilvusServer]:
    from kitestring.clients.milvus.client import MilvusServer

    with MilvusServer(stack.uri, timeout=60) as server:
        yield server


def rows(start: int, stop: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(start)
    return [
        {"id": n, "v": random.standard_normal(DIM).tolist(), "text": f"text {n}", "extra": n}
        for n in range(start, stop)
    ]


@pytest.fixture
def docs(milvus: MilvusServer, unique: Callable[[str], str]) -> Iterator[str]:
    """A loaded collection of 3,000 rows, 10 of which are deleted again."""
    name = unique("docs")
    milvus.create_collection(name, SCHEMA)
    milvus.create_index(name, INDEX)
    milvus.load(name)
    milvus.insert(name, rows(0, ROWS))
    milvus.delete(name, list(range(10)))
    yield name
    for found in milvus.list_collections():
        if name in found:
            milvus.drop_collection(found)


@dataclass
class Site:
    """A spec in a folder of its own, and the command on it."""

    file: Path
    environment: Mapping[str, str]

    def kitestring(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "kitestring", *arguments, "--spec", str(self.file)],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == expect, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout if expect == 0 else done.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self.kitestring(*arguments, "-o", "json"))


@pytest.fixture
def site(tmp_path: Path, minio: Minio, data: Path) -> Callable[..., Site]:
    """Writes a spec: Milvus and its bucket, and a bucket for the backups."""

    def write(bucket: str, prefix: str, seal: Mapping[str, Any] = {}, **more: Any) -> Site:
        at = {
            "type": "s3",
            "endpoint_url": minio.url,
            "access_key": {"env": "KS_S3_USER"},
            "secret_key": {"env": "KS_S3_SECRET"},
        }
        document = {
            "version": 1,
            "cluster": {"name": "s3", "environment": "test"},
            "connection": {"embedded": str(data), "timeout": "60s"},
            "state": "state",
            "storage": {**at, "bucket": "milvus", "prefix": "files"},
            "backup": {
                "store": {**at, "bucket": bucket, "prefix": prefix, **more},
                "method": "physical",
                **seal,
            },
            "objectives": {"rpo": "24h", "rto": "30m"},
        }
        file = tmp_path / "cluster.yaml"
        file.write_text(yaml.safe_dump(document))
        keys = {"KS_S3_USER": minio.access_key, "KS_S3_SECRET": minio.secret_key}
        return Site(file, keys)

    return write


def objects(minio: Minio, bucket: str, prefix: str) -> dict[str, int]:
    pages = minio.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", [])}


def written_at(minio: Minio, bucket: str, keys: Iterable[str]) -> dict[str, tuple[Any, str]]:
    """When each object was written, and its ETag."""
    heads = {key: minio.client().head_object(Bucket=bucket, Key=key) for key in keys}
    return {key: (head["LastModified"], head["ETag"]) for key, head in heads.items()}


def test_the_whole_life_of_a_backup_on_s3(
    site: Callable[..., Site], minio: Minio, milvus: MilvusServer, docs: str
) -> None:
    here = site("plain", "life", encryption="AES256")
    first = here.json("backup", "create", "-c", docs)
    assert first["copied_bytes"] > 0
    assert first["collections"][0]["digest"]["rows"] == ROWS - 10
    before = objects(minio, "plain", "life/pool/")
    assert sum(before.values()) == first["copied_bytes"]
    written = written_at(minio, "plain", before)

    milvus.insert(docs, rows(ROWS, ROWS + 30))
    second = here.json("backup", "create", "-c", docs)
    # No bound in bytes: the server writes the key filter of a small segment now for its rows
    # and now for 100,000.
    assert second["reused_bytes"] == first["copied_bytes"]
    after = objects(minio, "plain", "life/pool/")
    assert written_at(minio, "plain", before) == written  # nothing of the first is copied again
    new = {key.removeprefix("life/"): size for key, size in after.items() if key not in before}
    assert sum(new.values()) == second["copied_bytes"]
    held = {s["id"] for s in first["collections"][0]["segments"]}
    added = [s for s in second["collections"][0]["segments"] if s["id"] not in held]
    assert sum(s["rows"] for s in added) == 30
    assert new.keys() == {o["key"] for s in added for k in KINDS for o in s[k]}
    for key in (next(iter(after)), f"life/backups/{second['id']}/manifest.json"):
        head = minio.client().head_object(Bucket="plain", Key=key)
        assert head["ServerSideEncryption"] == "AES256"

    listed = here.json("backup", "verify", second["id"], "--tier", "full")
    assert listed["problems"] == []
    here.kitestring("restore", first["id"], "--prefix", "old_", "--no-aliases")
    assert milvus.count(f"old_{docs}") == ROWS - 10
    milvus.drop_collection(f"old_{docs}")
    # what was staged below Milvus's root path is gone
    assert not [k for k in objects(minio, "milvus", "files/") if "kitestring" in k]

    record = here.json("drill", "run")
    assert record["passed"], record
    assert record["backup"] == second["id"]
    assert record["collections"][0]["content_match"]


def test_copies_stay_on_the_server(
    site: Callable[..., Site], minio: Minio, docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes of segments go from bucket to bucket: this machine asks for copies, not for objects."""
    from kitestring.backup.create import create_backup
    from kitestring.clients.milvus.connect import connect
    from kitestring.clients.store.s3 import S3Store
    from kitestring.spec.load import load

    here = site("plain", "server-side")
    for name, value in here.environment.items():
        monkeypatch.setenv(name, value)
    opened: list[str] = []
    open_object = S3Store.open

    def watched(self: S3Store, key: str) -> Any:
        opened.append(f"{self.bucket}/{key}")
        return open_object(self, key)

    monkeypatch.setattr(S3Store, "open", watched)
    loaded = load(here.file)
    with connect(loaded) as milvus:
        made = create_backup(loaded, milvus, collections=[docs])
    assert made.copied_bytes > 0
    assert not [key for key in opened if key.startswith("milvus/")]


def test_a_bucket_with_object_lock_and_versions(
    site: Callable[..., Site], minio: Minio, docs: str
) -> None:
    here = site("locked", "k", object_lock=True, versioning=True)
    minio.client().put_object_lock_configuration(
        Bucket="locked",
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    made = here.json("backup", "create", "-c", docs)
    here.kitestring("backup", "verify", made["id"], "--tier", "full")
    key = next(iter(objects(minio, "locked", "k/pool/")))
    version = minio.client().list_object_versions(Bucket="locked", Prefix=key)["Versions"][0]
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError, match="WORM"):
        minio.client().delete_object(Bucket="locked", Key=key, VersionId=version["VersionId"])

    stored = sum(objects(minio, "locked", "k/pool/").values())
    here.kitestring("backup", "delete", made["id"], "--yes", "--force", "--sweep-now")
    assert objects(minio, "locked", "k/pool/") == {}
    told = here.json("backup", "prune")["versions"]
    assert told["kept_bytes"] >= stored  # a deletion frees nothing here
    assert told["deleted"] == 0


def test_a_bucket_without_what_the_spec_says_is_refused(
    site: Callable[..., Site], minio: Minio, docs: str
) -> None:
    here = site("plain", "refused", object_lock=True, versioning=True)
    said = here.kitestring("backup", "create", "-c", docs, expect=1)
    assert "has object lock and versioning, but it does not" in said
    assert objects(minio, "plain", "refused/") == {}


def test_a_kms_key_of_the_server(site: Callable[..., Site], minio: Minio, docs: str) -> None:
    here = site("plain", "kms", encryption="aws:kms", kms_key_id=KMS_KEY)
    made = here.json("backup", "create", "-c", docs)
    here.kitestring("backup", "verify", made["id"], "--tier", "full")
    head = minio.client().head_object(
        Bucket="plain", Key=next(iter(objects(minio, "plain", "kms/pool/")))
    )
    assert head["SSEKMSKeyId"].endswith(KMS_KEY)
    other = site("plain", "kms", encryption="aws:kms", kms_key_id="nope")
    assert "encrypt" in other.kitestring("backup", "create", "-c", docs, expect=1)


def test_an_encrypted_backup(site: Callable[..., Site], minio: Minio, docs: str) -> None:
    pyrage = pytest.importorskip("pyrage")
    identity = pyrage.x25519.Identity.generate()
    seal = {
        "encryption": {
            "type": "age",
            "recipients": [str(identity.to_public())],
            "identity": {"env": "KS_AGE"},
        }
    }
    here = site("plain", "sealed", seal=seal)
    here.environment = {**here.environment, "KS_AGE": str(identity)}
    made = here.json("backup", "create", "-c", docs)
    here.kitestring("backup", "verify", made["id"], "--tier", "full")
    key = next(iter(objects(minio, "plain", "sealed/pool/")))
    body = minio.client().get_object(Bucket="plain", Key=key)["Body"].read()
    assert b"val" not in body  # the column of a binlog's Parquet
    assert b"PAR1" not in body
    stranger = pyrage.x25519.Identity.generate()
    here.environment = {**here.environment, "KS_AGE": str(stranger)}
    failed = here.kitestring("backup", "verify", made["id"], "--tier", "full", expect=1)
    assert "Traceback" not in failed


@pytest.mark.parametrize("size", [0, 9_000_001])
@pytest.mark.parametrize("encryption", [None, "AES256"])
def test_a_copy_has_the_server_s_checksum(minio: Minio, size: int, encryption: str | None) -> None:
    from kitestring.clients.store.s3 import S3Store

    keys = {"access_key": minio.access_key, "secret_key": minio.secret_key}
    source = S3Store("milvus", prefix="copies", endpoint_url=minio.url, **keys)
    target = S3Store("plain", prefix="to", endpoint_url=minio.url, encryption=encryption, **keys)
    content = os.urandom(size)
    source.put("a", BytesIO(content))
    asked: list[str] = []
    target._client.meta.events.register(
        "before-call.s3", lambda model, **_: asked.append(model.name)
    )
    wanted = (size, hashlib.sha256(content).hexdigest())
    assert target.copy_from(source, "a", "b") == wanted
    assert asked == ["CopyObject", "HeadObject"]
    assert target.get("b") == content


def test_a_large_object_is_copied_in_parts(minio: Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    from kitestring.clients.store import s3_upload

    monkeypatch.setattr(s3_upload, "COPY_PART", 5 << 20)
    client, content = minio.client(), os.urandom(12 << 20)
    client.put_object(Bucket="milvus", Key="large", Body=content)
    found = client.head_object(Bucket="milvus", Key="large")
    s3_upload.copy_parts(
        client,
        {"Bucket": "milvus", "Key": "large"},
        {"Bucket": "plain", "Key": "large"},
        len(content),
        found["ETag"],
        {"ServerSideEncryption": "AES256"},
    )
    assert client.get_object(Bucket="plain", Key="large")["Body"].read() == content
