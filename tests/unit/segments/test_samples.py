"""Files that real servers wrote: 2.3 (a whole milvus-backup backup), 2.4 (L0), 2.6 (storage v2)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import SegmentUnreadable
from kitestring.model.collection import Field, Schema
from kitestring.segments.deltas import parse_deletes
from kitestring.segments.layout import SegmentRef, collection_files
from kitestring.segments.reader import read_files, rows_written, system_column
from kitestring.segments.rows import segment_rows

ROOT = Path(__file__).parents[3]
SAMPLES = Path(os.environ.get("KITESTRING_SEGMENT_SAMPLES", ROOT / "../shared/data/segments"))
pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"the sample files of real servers are not in {SAMPLES}"
)
TYPES = {5: "INT64", 11: "DOUBLE", 21: "VARCHAR", 101: "FLOAT_VECTOR"}


def backup() -> tuple[MemoryStore, dict[str, tuple[int, Schema]]]:
    top = SAMPLES / "v1/backup_demo"
    store = MemoryStore()
    for file in sorted((top / "binlogs").rglob("*")):
        if file.is_file():
            store.put(str(file.relative_to(top / "binlogs")), file.read_bytes())
    collections = {}
    for info in json.loads((top / "meta/collection_meta.json").read_text())["infos"]:
        fields = tuple(
            Field(
                field["name"],
                TYPES[field["data_type"]],
                primary=bool(field.get("is_primary_key")),
                dim=next((int(p["value"]) for p in field.get("type_params", ())
                          if p["key"] == "dim"), None),
                field_id=field["fieldID"],
            )
            for field in info["schema"]["fields"]
        )  # fmt: skip
        collections[info["schema"]["name"]] = (info["collection_id"], Schema(fields))
    return store, collections


def test_a_backup_of_milvus_backup_is_read() -> None:
    store, collections = backup()
    metas = json.loads((SAMPLES / "v1/backup_demo/meta/segment_meta.json").read_text())["infos"]
    written = {meta["segment_id"]: meta["num_of_rows"] for meta in metas}
    alive = {}
    for name, (id_, schema) in collections.items():
        rows, deleted = [], []
        for (partition, segment), files in collection_files(store, "", id_).items():
            ref = SegmentRef(id_, partition, segment)
            assert rows_written(store, files, ref) == written[segment]
            for batch in read_files(store, files, schema, ref):
                rows += batch.to_pylist()
            deleted += [d for log in files.delta for d in parse_deletes(store.get(log.key), "")]
            times = system_column(store, files, 1, 0, ref)
            assert all(ts > times.max() for _, ts in deleted)
        keys = [row["pk"] for row in rows]
        assert not set(keys) & {key for key, _ in deleted}
        assert all(len(row["embeddings"]) == 8 and 0 <= row["random"] < 1 for row in rows)
        alive[name] = (len(rows), len({key for key, _ in deleted}))
    assert alive == {"hello_milvus": (2990, 10), "hello_milvus2": (6000, 0)}


def test_an_l0_delta_log_of_a_newer_server_is_read() -> None:
    deletes = parse_deletes((SAMPLES / "v1/l0_delta_log").read_bytes(), "l0")
    assert len(deletes) == len({key for key, _ in deletes})
    # written in 2024, to the ms
    assert {1_700_000_000_000 < ts >> 18 < 1_800_000_000_000 for _, ts in deletes} == {True}


def column_groups() -> tuple[MemoryStore, Schema]:
    store = MemoryStore()
    # the column group of the vector has the number of its field
    for number, file in {0: "cg0", 1: "cg1", 103: "cg2"}.items():
        data = (SAMPLES / f"v2/{file}.parquet").read_bytes()
        store.put(f"insert_log/1/2/3/{number}/{10 + number}", data)
    fields = (
        Field("id", "INT64", primary=True, field_id=100),
        Field("name", "VARCHAR", field_id=101),
        Field("value", "DOUBLE", field_id=102),
        Field("vector", "FLOAT_VECTOR", dim=4, field_id=103),
    )
    return store, Schema(fields)


def test_column_groups_of_storage_v2_are_read() -> None:
    store, schema = column_groups()
    files = collection_files(store, "", 1)[2, 3]
    batches = list(read_files(store, files, schema, SegmentRef(1, 2, 3)))
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert len(rows) == rows_written(store, files, SegmentRef(1, 2, 3)) == 100
    assert [row["id"] for row in rows] == list(range(100))
    assert [row["name"] for row in rows] == [f"name_{n}" for n in range(100)]
    assert rows[0]["vector"] != rows[99]["vector"]


def test_a_column_group_that_is_missing_is_found_out() -> None:
    store, schema = column_groups()
    logs = {0: ("insert_log/1/2/3/0/10",), 103: ("insert_log/1/2/3/103/113",)}
    with pytest.raises(SegmentUnreadable, match="`name`"):
        list(segment_rows(store, logs, schema, SegmentRef(1, 2, 3)))
    only = segment_rows(store, logs, schema, SegmentRef(1, 2, 3), ["id", "vector"])
    assert sum(batch.num_rows for batch in only) == 100
