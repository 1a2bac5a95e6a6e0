"""Backups and restores on a real server."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from kitestring.model.backup import BackupManifest, RowDigest
from kitestring.model.collection import Field, Index, Schema
from tests.verbs import called, started
from tests.waiting import compacted, ended

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState

pytestmark = pytest.mark.server
DIM = 16
SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64),
        Field("v", "FLOAT_VECTOR", dim=DIM),
        Field("text", "VARCHAR", max_length=1000),
        Field("embedding_model", "VARCHAR", max_length=64),
        Field("flag", "BOOL"),
        Field("small", "INT8"),
        Field("ratio", "FLOAT"),
        Field("exact", "DOUBLE"),
        Field("json", "JSON"),
        Field("longs", "ARRAY", element_type="INT64", max_capacity=10),
        Field("words", "ARRAY", element_type="VARCHAR", max_length=50, max_capacity=10),
    ),
    dynamic=True,
)
INDEX = Index("v", "v", "HNSW", "COSINE", {"M": "8", "efConstruction": "64"})


def rows(start: int, stop: int, version: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(start * 1000 + version)
    return [
        {
            "id": f"k{n:05d}",
            "v": random.standard_normal(DIM).astype(np.float32).tolist(),
            "text": f"text é {n}",
            "embedding_model": f"words@{version}",
            "flag": n % 2 == 0,
            "small": n % 100 - 50,
            "ratio": n / 7,
            "exact": n / 7,
            "json": {"n": n, "deep": [1, {"q": "ü"}]},
            "longs": list(range(-1, n % 5)),
            "words": [f"w{i}" for i in range(n % 3)],
            "extra": f"e{n}",
            "version": version,
        }
        for n in range(start, stop)
    ]


def scanned(milvus: MilvusServer, name: str) -> RowDigest:
    """The digest of a collection as the query API answers it."""
    from kitestring.model.digest import digest_batches

    columns = [f.name for f in SCHEMA.fields] + ["$meta"]
    return digest_batches("id", milvus.scan(name, columns))


@pytest.fixture
def make(milvus: MilvusServer, unique: Callable[[str], str]) -> Iterator[Callable[..., str]]:
    """Makes a loaded collection; it and every copy of it are dropped afterwards."""
    made: list[str] = []

    def create(**options: Any) -> str:
        name = unique("c")
        milvus.create_collection(name, SCHEMA, **options)
        milvus.create_index(name, INDEX)
        milvus.load(name)
        made.append(name)
        return name

    yield create
    for found in milvus.list_collections():
        if any(name in found for name in made):
            for alias in milvus.describe(found).aliases:
                milvus.drop_alias(alias)
            milvus.drop_collection(found)


def backed_up(spec_file: Path, milvus: MilvusServer, name: str) -> BackupManifest:
    from kitestring.backup.create import create_backup
    from kitestring.spec.load import load

    return create_backup(load(spec_file), milvus, collections=[name])


def restored(
    spec_file: Path, milvus: MilvusServer, manifest: BackupManifest, **options: Any
) -> Any:
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.restore import RestoreTarget, restore
    from kitestring.clients.store.connect import open_segment_store
    from kitestring.spec.load import load

    loaded = load(spec_file)
    target = RestoreTarget(milvus, *open_segment_store(loaded))
    return restore(open_catalog(loaded), manifest, target, **options)


def test_segments_are_read_as_the_server_answers(
    milvus: MilvusServer, make: Callable[..., str], stack: StackState
) -> None:
    from kitestring.clients.store.local import LocalStore
    from kitestring.model.digest import digest_batches
    from kitestring.segments.reader import read_live

    name = make(shards=2, partitions=["_default", "other"])
    store = LocalStore(Path(stack.root_path))

    def same(rows: int) -> None:
        milvus.flush(name)
        batches = read_live(store, "", milvus.describe(name), milvus.segments(name))
        found = digest_batches("id", batches)
        assert (found.rows, found) == (rows, scanned(milvus, name))

    milvus.insert(name, rows(0, 1500))
    same(1500)
    milvus.upsert(name, rows(0, 300, version=1))
    milvus.upsert(name, rows(0, 50, version=2))  # twice in one growing segment
    same(1500)
    milvus.delete(name, [f"k{n:05d}" for n in range(400, 450)])
    same(1450)
    milvus.delete(name, ["k00001"])
    milvus.upsert(name, rows(1, 2, version=3))  # deleted, and back
    same(1450)
    compacted(milvus, name)
    same(1450)


def test_a_restored_copy_has_the_rows_of_the_boundary(
    milvus: MilvusServer, make: Callable[..., str], spec_file: Path
) -> None:
    name = make(shards=2, partitions=["_default", "other"])
    milvus.upsert(name, rows(0, 1200))
    milvus.create_alias(name, f"{name}_alias")
    first = backed_up(spec_file, milvus, name)
    milvus.upsert(name, rows(100, 200, version=1))
    milvus.delete(name, ["k00007", "k00008"])
    second = backed_up(spec_file, milvus, name)
    wanted = scanned(milvus, name)
    assert second.collections[0].digest == wanted
    assert second.collections[0].models == {"words@0": 1098, "words@1": 100}
    assert set(second.collections[0].deleted_keys) == {"k00007", "k00008"}
    # every object of the first is taken over, and only the others are copied
    held = {o.key for o in first.collections[0].objects}
    added = {o.key: o.size for o in second.collections[0].objects if o.key not in held}
    assert second.reused_bytes == first.bytes
    assert second.copied_bytes == sum(added.values()) > 0

    phases: list[str] = []
    result = restored(
        spec_file, milvus, second, prefix="r_", on_phase=lambda phase, _: phases.append(phase)
    )
    assert phases == ["copy", "import", "load", "first_answer", "index"]
    assert scanned(milvus, f"r_{name}") == wanted
    assert any(f"{name}_alias" in note for note in result.notes)
    source, copy = milvus.describe(name), milvus.describe(f"r_{name}")
    assert copy.schema == source.schema
    assert [i.index for i in copy.indexes] == [i.index for i in source.indexes]
    assert {p.name for p in copy.partitions} == {p.name for p in source.partitions}
    assert (copy.shards, copy.loaded) == (2, True)
    # the older backup is whole by itself
    restored(spec_file, milvus, first, rename={name: f"old_{name}"})
    assert milvus.count(f"old_{name}") == 1200
    # and puts itself in the place of the original, alias and all
    restored(spec_file, milvus, first, overwrite=True)
    assert scanned(milvus, name) == first.collections[0].digest
    assert milvus.alias_owner(f"{name}_alias") == name


def test_no_key_is_lost_by_upserts_while_backups_run(
    milvus: MilvusServer, make: Callable[..., str], spec_file: Path, stack: StackState
) -> None:
    from kitestring.clients.milvus.client import MilvusServer as Server

    name = make(shards=2)
    milvus.upsert(name, rows(0, 300))
    stop = threading.Event()
    acknowledged = [0]

    def write() -> None:
        with Server(stack.uri, timeout=20) as server:
            while not stop.is_set():
                server.upsert(name, rows(0, 60, version=acknowledged[0] + 1))
                acknowledged[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(5):
            before = acknowledged[0]
            found = backed_up(spec_file, milvus, name).collections[0]
            assert found.digest.rows == 300
            versions = {int(label.split("@")[1]): n for label, n in found.models.items()}
            # one instant: all of an upsert or nothing of it, and nothing acknowledged is missing
            assert versions.pop(0) >= 240
            assert all(n == 60 and v >= before for v, n in versions.items()), (versions, before)
            if turn == 2:
                compaction = milvus.compact(name)
    finally:
        stop.set()
        writer.join()
    ended(milvus, compaction)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_backup_that_is_stopped_leaves_none_and_blocks_nobody(
    milvus: MilvusServer, make: Callable[..., str], spec_file: Path, number: signal.Signals
) -> None:
    from kitestring.backup.catalog import open_catalog
    from kitestring.spec.load import load

    name = make()
    milvus.upsert(name, rows(0, 2000))
    # so slow that it can't end before the signal comes
    process = started(
        *("backup", "create", "-c", name, "--max-bytes-per-second", "2KiB", "--spec", spec_file)
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "objects" in line:
            break
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -9}.get(number, 130)
    catalog = open_catalog(load(spec_file))
    assert catalog.summaries() == []
    assert (catalog.store.head("locks/backup.json") is not None) == (number == signal.SIGKILL)
    made = backed_up(spec_file, milvus, name)
    assert [s.id for s in catalog.summaries()] == [made.id]
    assert made.collections[0].digest == scanned(milvus, name)


def test_the_verbs_and_their_exit_codes(
    milvus: MilvusServer, make: Callable[..., str], spec_file: Path
) -> None:
    name = make()
    milvus.upsert(name, rows(0, 100))

    def run(*arguments: str) -> tuple[int, str, str]:
        done = called(*arguments, "--spec", spec_file)
        return done.returncode, done.stdout, done.stderr

    code, out, err = run("backup", "verify")
    assert (code, "backup create" in err) == (1, True)
    code, out, _ = run("backup", "create", "-c", name, "-o", "json")
    assert code == 0
    made = json.loads(out)
    code, out, _ = run("backup", "list")
    assert (code, made["id"] in out) == (0, True)
    code, out, _ = run("backup", "show", "-o", "json")
    assert (code, json.loads(out)) == (0, made)
    code, out, err = run("restore", "latest")
    assert (code, f"`{name}` already" in err) == (1, True)
    code, out, _ = run("restore", "latest", "--rename", f"{name}=copy_{name}", "-o", "json")
    assert (code, json.loads(out)["rows"]) == (0, 100)
    assert milvus.count(f"copy_{name}") == 100
    stored = made["collections"][0]["segments"][0]["insert"][3]["key"]
    file = spec_file.parent / "backups" / stored
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    code, out, err = run("backup", "verify")
    assert (code, stored in err) == (2, True)
    code, out, err = run("restore", "latest", "--prefix", "x_")
    assert (code, "damaged" in err) == (2, True)
    assert not milvus.has_collection(f"x_{name}")


def test_a_catalog_on_s3(
    milvus: MilvusServer,
    make: Callable[..., str],
    spec_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.verify import verify
    from kitestring.spec.load import load

    name = make()
    milvus.upsert(name, rows(0, 500))
    monkeypatch.setenv("KS_USER", "user")
    monkeypatch.setenv("KS_SECRET", "a-secret")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        document = yaml.safe_load(spec_file.read_text())
        document["backup"]["store"] = {
            "type": "s3",
            "bucket": "backups",
            "prefix": "deep/er",
            "endpoint_url": f"http://{host}:{port}",
            "access_key": {"env": "KS_USER"},
            "secret_key": {"env": "KS_SECRET"},
        }
        spec_file.write_text(yaml.safe_dump(document))
        boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            region_name="us-east-1",
            aws_access_key_id="user",
            aws_secret_access_key="a-secret",
        ).create_bucket(Bucket="backups")
        backed_up(spec_file, milvus, name)
        made = backed_up(spec_file, milvus, name)
        assert made.copied_bytes == 0
        assert verify(open_catalog(load(spec_file)), made.id).passed
        restored(spec_file, milvus, made, prefix="s3_")
        assert scanned(milvus, f"s3_{name}") == made.collections[0].digest
    finally:
        server.stop()
