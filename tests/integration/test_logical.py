"""Logical backups of a real server: by segment files and over the API, incremental, restored there
and into a server of another version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from kitestring.errors import RowsHidden
from kitestring.model.backup import BackupManifest, RowDigest
from kitestring.model.collection import Field, Index, Schema

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.milvus.protocol import Milvus
    from kitestring.clients.stack_state import StackState
    from kitestring.spec.loaded import LoadedSpec

pytestmark = pytest.mark.server
DIM = 16
SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64),
        Field("v", "FLOAT_VECTOR", dim=DIM),
        Field("content_hash", "VARCHAR", max_length=64),
        Field("embedding_model", "VARCHAR", max_length=64),
        Field("last_embedded_at", "INT64"),
        Field("flag", "BOOL"),
        Field("i8", "INT8"),
        Field("i16", "INT16"),
        Field("i32", "INT32"),
        Field("ratio", "FLOAT"),
        Field("exact", "DOUBLE"),
        Field("json", "JSON"),
        *(
            Field(f"a_{kind.lower()}", "ARRAY", element_type=kind, max_capacity=8,
                  max_length=20 if kind == "VARCHAR" else None)
            for kind in ("BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR")
        ),
    ),
    dynamic=True,
)  # fmt: skip
BINARY = Schema(
    (Field("id", "INT64", primary=True), Field("bits", "BINARY_VECTOR", dim=32)),
)
INDEX = Index("v", "v", "HNSW", "COSINE", {"M": "8", "efConstruction": "64"})


def rows(start: int, stop: int, version: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(start * 1000 + version)
    return [
        {
            "id": f'k{n:05d}"\\é',
            "v": random.standard_normal(DIM).astype(np.float32).tolist(),
            "content_hash": f"{n}-{version}",
            "embedding_model": f"words@{version}",
            "last_embedded_at": 1_700_000_000_000 + version,
            "flag": n % 2 == 0,
            "i8": n % 100 - 50,
            "i16": n - 1000,
            "i32": -n,
            "ratio": n / 7,
            "exact": n / 7,
            "json": {"n": n, "deep": [1, {"q": "ü"}]},
            "a_bool": [True, False][: n % 3],
            "a_int8": [-1, n % 100][: n % 3],
            "a_int16": [n][: n % 2],
            "a_int32": [n, -n],
            "a_int64": [n << 40],
            "a_float": [n / 3],
            "a_double": [n / 3, -1.5],
            "a_varchar": ["", f"ü{n}"],
            "extra": f"e{n}",
        }
        for n in range(start, stop)
    ]


def scanned(
    milvus: Milvus, name: str, schema: Schema = SCHEMA, *, same_json: bool = False
) -> RowDigest:
    """What the server answers, as a digest; `same_json` takes JSON by its value."""
    from kitestring.model.arrow import arrow_schema
    from kitestring.model.digest import canonical_json, digest_batches

    batches = milvus.scan(name, arrow_schema(schema).names)
    if same_json:
        batches = (
            batch.set_column(
                batch.schema.get_field_index("json"),
                batch.schema.field("json"),
                pa.array([canonical_json(text) for text in batch["json"].to_pylist()], pa.binary()),
            )
            for batch in batches
        )
    return digest_batches("id", batches)


@pytest.fixture
def loaded(tmp_path: Path, stack: StackState, stack_data: Path) -> LoadedSpec:
    from kitestring.spec.load import load

    assert stack.port
    file = tmp_path / "cluster.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "version": 1,
                "cluster": {"name": "test"},
                "connection": {"embedded": str(stack_data), "timeout": "30s"},
                "state": "state",
                "storage": {"type": "embedded"},
                "backup": {"store": {"type": "local", "path": "backups"}},
            }
        )
    )
    return load(file)


@pytest.fixture
def name(milvus: MilvusServer, unique: Callable[[str], str]) -> Iterator[str]:
    """A loaded collection of 2,000 rows in two shards and two partitions, with upserts and
    deletes; it and copies of it are dropped afterwards."""
    made = unique("c")
    milvus.create_collection(made, SCHEMA, shards=2)
    milvus.admin.create_partition(made, "other")
    milvus.create_index(made, INDEX)
    milvus.load(made)
    milvus.insert(made, rows(0, 2000))
    milvus.flush(made)
    milvus.upsert(made, rows(100, 200, version=1))
    milvus.delete(made, [r["id"] for r in rows(300, 320)])
    yield made
    for found in milvus.list_collections():
        if made in found:
            milvus.drop_collection(found)


def backed_up(loaded: LoadedSpec, milvus: Milvus, name: str, **options: Any) -> BackupManifest:
    from kitestring.backup.logical.create import create_logical

    return create_logical(loaded, milvus, collections=[name], **options)


def new_rows(before: BackupManifest, after: BackupManifest) -> int:
    """How many rows are in files that the earlier backup did not have."""
    there = {part.object.key for c in before.collections for part in c.parts}
    parts = (part for c in after.collections for part in c.parts)
    return sum(part.written for part in parts if part.object.key not in there)


@pytest.mark.parametrize("read_by", ["segments", "api"])
def test_every_type_is_backed_up_and_only_changes_are_stored(
    loaded: LoadedSpec, milvus: MilvusServer, name: str, read_by: str
) -> None:
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.verify import verify

    first = backed_up(loaded, milvus, name, read_by=read_by)
    docs = first.collections[0]
    assert docs.read_by == read_by
    assert docs.digest == scanned(milvus, name)
    assert docs.digest.rows == 1980
    assert docs.models == {"words@0": 1880, "words@1": 100}

    milvus.upsert(name, rows(500, 520, version=2))  # 1%
    milvus.delete(name, [rows(600, 601)[0]["id"]])
    second = backed_up(loaded, milvus, name, read_by=read_by)
    assert second.collections[0].digest == scanned(milvus, name)
    assert new_rows(first, second) <= 0.1 * docs.digest.rows
    assert rows(600, 601)[0]["id"] in second.collections[0].deleted_keys
    for made in (first, second):
        assert verify(open_catalog(loaded), made.id, tier="full").passed
    assert backed_up(loaded, milvus, name, read_by=read_by).copied_bytes == 0


def test_a_backup_over_the_api_builds_on_one_of_segments(
    loaded: LoadedSpec, milvus: MilvusServer, name: str
) -> None:
    first = backed_up(loaded, milvus, name, read_by="segments")
    milvus.upsert(name, rows(0, 5, version=2))
    second = backed_up(loaded, milvus, name, read_by="api")
    assert second.collections[0].digest == scanned(milvus, name)
    assert new_rows(first, second) <= 0.1 * first.collections[0].digest.rows
    assert any("read over the API (as asked for)" in n for n in second.collections[0].notes)
    third = backed_up(loaded, milvus, name, read_by="segments")
    assert third.collections[0].digest == second.collections[0].digest
    assert new_rows(second, third) <= 0.1 * third.collections[0].digest.rows  # of unknown age


def test_a_filter_means_the_same_both_ways(
    loaded: LoadedSpec, milvus: MilvusServer, name: str
) -> None:
    from kitestring.backup.logical.part import Part

    for where in (
        'i8 in [1, 2, 3] and not (ratio < 20.5) and content_hash like "1"'[:-1] + '%"',
        "flag == true and (i32 >= -50 or exact > 250.25)",
        "i16 not in [-990, -991] and i16 < -980 and embedding_model != 'words@1'",
    ):
        found = {
            backed_up(loaded, milvus, name, read_by=by, part=Part(where), full=True)
            .collections[0].digest
            for by in ("segments", "api")
        }  # fmt: skip
        assert len(found) == 1
        assert 0 < found.pop().rows < 1980


@pytest.mark.parametrize("by", ["import", "insert"])
def test_rows_come_back_under_another_name(
    loaded: LoadedSpec, milvus: MilvusServer, name: str, by: str
) -> None:
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.logical.restore import restore_parts
    from kitestring.backup.restore.rows import create
    from kitestring.backup.restore.target import RestoreTarget
    from kitestring.clients.store.connect import open_segment_store

    milvus.upsert(name, [{**r, "extra": "in other"} for r in rows(5000, 5010)])
    made = backed_up(loaded, milvus, name)
    docs = made.collections[0]
    store, root = open_segment_store(loaded)
    target = RestoreTarget(milvus, store if by == "import" else None, root)
    copy = f"{name}_copy"
    create(milvus, docs, copy)
    catalog = open_catalog(loaded)
    assert restore_parts(catalog.store, docs, target, copy, tell=lambda _: None) == 1990
    milvus.create_index(copy, INDEX)
    milvus.load(copy)
    assert scanned(milvus, copy) == docs.digest
    assert list(store.list("kitestring-restore/")) == []


def test_binary_vectors_and_keys_that_are_numbers(
    loaded: LoadedSpec, milvus: MilvusServer, unique: Callable[[str], str]
) -> None:
    from kitestring.backup.logical.part import Part

    name = unique("b")
    milvus.create_collection(name, BINARY)
    milvus.create_index(name, Index("bits", "bits", "BIN_FLAT", "HAMMING"))
    milvus.load(name)
    keys = [-(2**63), -1, 0, 7, 2**63 - 2]
    milvus.insert(name, [{"id": k, "bits": bytes([n] * 4)} for n, k in enumerate(keys)])
    try:
        digests = {
            backed_up(loaded, milvus, name, read_by=by, full=True).collections[0].digest
            for by in ("segments", "api")
        }
        assert digests == {scanned(milvus, name, BINARY)}
        milvus.insert(name, [{"id": 2**63 - 1, "bits": bytes(4)}])  # 2.3 counts it only
        with pytest.raises(RowsHidden, match="9223372036854775807"):
            backed_up(loaded, milvus, name, read_by="api", full=True)
        without = Part("id < 9223372036854775807")
        api = backed_up(loaded, milvus, name, read_by="api", full=True, part=without)
        assert (api.collections[0].digest.rows, api.collections[0].filter) == (5, without.where)
        assert backed_up(loaded, milvus, name).collections[0].digest.rows == 6
    finally:
        milvus.drop_collection(name)


def test_a_server_of_another_version_takes_the_rows(
    loaded: LoadedSpec, milvus: MilvusServer, name: str, tmp_path: Path
) -> None:
    """milvus-lite speaks the API of 2.6."""
    lite = pytest.importorskip("milvus_lite.server_manager")
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.logical.restore import restore_parts
    from kitestring.backup.restore.rows import create
    from kitestring.backup.restore.target import RestoreTarget
    from kitestring.clients.milvus.client import MilvusServer

    docs = backed_up(loaded, milvus, name).collections[0]
    manager, path = lite.ServerManager(), str(tmp_path / "lite.db")
    uri = manager.start_and_get_uri(path)
    assert uri
    try:
        with MilvusServer(uri, timeout=60) as other:
            create(other, docs, name)
            target = RestoreTarget(other, None)
            assert restore_parts(
                open_catalog(loaded).store, docs, target, name, tell=lambda _: None
            ) == 1980  # fmt: skip
            other.create_index(name, INDEX)
            other.load(name)
            assert other.count(name) == 1980
            # it writes JSON anew, with other spaces
            assert scanned(other, name, same_json=True) == scanned(milvus, name, same_json=True)
            assert other.describe(name).indexes[0].index.type == "HNSW"
            again = backed_up(loaded, other, name, read_by="api", full=True).collections[0]
            assert (again.digest.rows, again.digest.keys) == (1980, docs.digest.keys)
    finally:
        manager.release_all()


def test_a_physical_backup_is_exported_without_a_server(
    loaded: LoadedSpec, milvus: MilvusServer, name: str, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.create import create_backup
    from kitestring.backup.logical.export import export
    from kitestring.model.digest import digest_batches

    made = create_backup(loaded, milvus, collections=[name])
    result = export(open_catalog(loaded), made, tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / name)
    assert (result.rows, table.num_rows) == (1980, 1980)
    assert digest_batches("id", table.to_batches()) == scanned(milvus, name)


@pytest.mark.parametrize("kind", ["auto_id", "partition_key"])
def test_keys_that_the_server_makes_and_partitions_of_a_key_come_back(
    loaded: LoadedSpec, milvus: MilvusServer, unique: Callable[[str], str], kind: str
) -> None:
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.logical.restore import restore_parts
    from kitestring.backup.restore.rows import create
    from kitestring.backup.restore.target import RestoreTarget
    from kitestring.clients.store.connect import open_segment_store
    from kitestring.errors import RestoreRefused

    auto = kind == "auto_id"
    schema = Schema(
        (
            Field("id", "INT64", primary=True, auto_id=auto),
            Field("tenant", "VARCHAR", max_length=10, partition_key=not auto),
            Field("v", "FLOAT_VECTOR", dim=4),
        )
    )
    name, index = unique("k"), Index("v", "v", "FLAT", "L2")
    copy = f"{name}_copy"
    try:
        milvus.create_collection(name, schema)
        keys = [{} if auto else {"id": n} for n in range(300)]
        milvus.insert(
            name, [{**k, "tenant": f"t{n % 7}", "v": [n, 0, 1, 2]} for n, k in enumerate(keys)]
        )
        docs = backed_up(loaded, milvus, name).collections[0]
        create(milvus, docs, copy)
        pool, segments = open_catalog(loaded).store, open_segment_store(loaded)
        if auto:
            with pytest.raises(RestoreRefused, match="auto_id"):
                restore_parts(pool, docs, RestoreTarget(milvus, None), copy, tell=print)
        target = RestoreTarget(milvus, *segments)
        assert restore_parts(pool, docs, target, copy, tell=print) == 300
        milvus.create_index(copy, index)
        milvus.load(copy)
        assert scanned(milvus, copy, schema) == docs.digest
        assert milvus.count(copy, filter='tenant == "t3"') == 43
    finally:
        for made in (name, copy):
            if milvus.has_collection(made):
                milvus.drop_collection(made)
