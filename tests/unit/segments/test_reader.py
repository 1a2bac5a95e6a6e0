"""Segments are read as they were written, and never wrongly where a fault can be seen."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import SegmentUnreadable
from kitestring.model.collection import Field, Schema, Segment
from kitestring.model.digest import digest_batches
from kitestring.segments.binlog import INSERT, parse_binlog, read_column
from kitestring.segments.columns import to_field
from kitestring.segments.deltas import parse_deletes, surviving
from kitestring.segments.layout import collection_files, segment_ids
from kitestring.segments.reader import read_segment, refuse_unknown
from kitestring.segments.write import delta_log, insert_log

SAMPLES = Path(os.environ.get("KITESTRING_SEGMENT_SAMPLES", "../shared/data/segments/v1"))
samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample files in {SAMPLES}")
IDS = (7, 8, 9)
SCHEMA = Schema(
    (
        Field("id", "INT64", primary=True, field_id=100),
        Field("v", "FLOAT_VECTOR", dim=3, field_id=101),
    ),
    dynamic=True,
)


def store_of(rows: int = 6, root: str = "files", logs: int = 2) -> MemoryStore:
    """A segment of `rows` rows a log; row n has key n, timestamp 10 n."""
    store = MemoryStore()
    for log in range(logs):
        keys = np.arange(log * rows, (log + 1) * rows)
        vectors = np.repeat(keys, 3).astype(np.float32)
        meta = [json.dumps({"n": int(k)}).encode() for k in keys]
        columns = {
            0: (Field("r", "INT64", field_id=0), pa.array(keys + 500)),
            1: (Field("t", "INT64", field_id=1), pa.array(keys * 10)),
            100: (SCHEMA.fields[0], pa.array(keys)),
            101: (
                SCHEMA.fields[1],
                pa.FixedSizeListArray.from_arrays(
                    pa.array(vectors), type=pa.list_(pa.float32(), 3)
                ),
            ),
            102: (Field("$meta", "JSON", field_id=102), pa.array(meta, pa.binary())),
        }
        for number, (field, values) in columns.items():
            # 9 and 10: logs are ordered as numbers, not as text
            key = f"{root}/insert_log/7/8/9/{number}/{9 + log}".lstrip("/")
            store.put(key, insert_log(values, field, IDS, 1))
    return store


def rows_of(store: MemoryStore, root: str = "files", **options: object) -> list[dict[str, object]]:
    batches = read_segment(store, root, SCHEMA, *IDS, **options)  # type: ignore[arg-type]
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("root", ["files", "", "deep/er"])
def test_rows_come_in_the_order_of_their_logs(root: str) -> None:
    rows = rows_of(store_of(root=root), root)
    assert [r["id"] for r in rows] == list(range(12))
    assert rows[5] == {"id": 5, "v": [5.0] * 3, "$meta": b'{"n": 5}'}


def test_only_the_columns_asked_for_are_read() -> None:
    store = store_of()
    read: list[str] = []
    store.before = lambda operation, key: read.append(key) if operation == "get" else None
    assert rows_of(store, columns=["id"])[3] == {"id": 3}
    assert {key.split("/")[-2] for key in read} == {"100"}


def test_a_delete_takes_older_rows_of_its_key_only() -> None:
    store = store_of()
    # key 3 was written at 30: a delete at 30 is that of the upsert that wrote it
    store.put("files/delta_log/7/8/9/1", delta_log([(2, 21), (3, 30), (4, 39), (99, 99)], IDS))
    store.put("files/delta_log/7/8/9/2", delta_log([(4, 41), (4, 5)], IDS))
    assert [r["id"] for r in rows_of(store)] == [0, 1, 3, 5, 6, 7, 8, 9, 10, 11]
    assert [r["v"] for r in rows_of(store, columns=["v"])][2] == [3.0] * 3


def test_rows_and_deletes_after_the_limit_are_left_out() -> None:
    store = store_of()
    store.put("files/delta_log/7/8/9/1", delta_log([(1, 40), (2, 41)], IDS))
    assert [r["id"] for r in rows_of(store, until=40)] == [0, 2, 3, 4]


def test_a_root_path_without_the_segment_is_explained() -> None:
    with pytest.raises(SegmentUnreadable) as error:
        rows_of(store_of(), "elsewhere")
    assert "root path" in error.value.hint


def test_a_missing_log_is_not_skipped() -> None:
    store = store_of()
    store.delete("files/insert_log/7/8/9/101/10")
    with pytest.raises(SegmentUnreadable, match=r"1 logs of the field `v`, 2"):
        rows_of(store)
    assert len(rows_of(store, columns=["id"])) == 12


def test_a_log_in_another_s_place_is_found_out() -> None:
    store = store_of()
    store.put("files/insert_log/7/8/9/100/9", store.get("files/insert_log/7/8/9/1/9"))
    with pytest.raises(SegmentUnreadable, match="not of its place"):
        rows_of(store)


def test_a_field_of_another_type_is_found_out() -> None:
    changed = Schema((Field("id", "VARCHAR", primary=True, field_id=100), SCHEMA.fields[1]))
    with pytest.raises(SegmentUnreadable, match="is VARCHAR"):
        list(read_segment(store_of(), "files", changed, *IDS))


def test_another_dimension_is_found_out() -> None:
    changed = Schema((SCHEMA.fields[0], Field("v", "FLOAT_VECTOR", dim=4, field_id=101)))
    with pytest.raises(SegmentUnreadable, match="3 dimensions, not 4"):
        list(read_segment(store_of(), "files", changed, *IDS))


@pytest.mark.parametrize("cut", [1, 3, 10, 40, 110, 300, -1])
def test_a_file_cut_short_names_itself(cut: int) -> None:
    store = store_of()
    key = "files/insert_log/7/8/9/100/9"
    store.put(key, store.get(key)[:cut])
    with pytest.raises(SegmentUnreadable, match=key):
        rows_of(store)


@settings(max_examples=200, deadline=None)
@given(bit=st.integers(min_value=0))
@example(bit=21159)  # in the name of the column: no UTF-8 any more
def test_a_flipped_bit_gives_our_error_or_rows_and_nothing_else(bit: int) -> None:
    data = bytearray(insert_log(pa.array(range(50)), SCHEMA.fields[0], IDS, 1))
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    try:
        _, values = read_column(bytes(data), ("val",), event=INSERT, name="file")
    except SegmentUnreadable as error:
        assert error.subject == "file"  # noqa: PT017 - either way is right
    else:
        assert values is not None


def test_a_strange_key_below_a_segment_is_refused() -> None:
    store = store_of()
    store.put("files/insert_log/7/8/9/100/9.tmp", b"")
    with pytest.raises(SegmentUnreadable, match=r"9\.tmp"):
        rows_of(store)


def test_listing_a_collection_finds_all_its_segments() -> None:
    store = store_of()
    store.put("files/delta_log/7/8/11/1", b"")
    found = collection_files(store, "files", 7)
    assert set(found) == {(8, 9), (8, 11)}
    assert [log.key[-2:] for log in found[8, 9].insert[100]] == ["/9", "10"]
    assert segment_ids(store, "files", 7) == {9}


@pytest.mark.parametrize(
    "segment",
    [Segment(1, 2, 3, "Flushed", storage_version=2), Segment(1, 2, 3, "Flushed", level="L0")],
)
def test_segments_of_newer_servers_are_refused(segment: Segment) -> None:
    with pytest.raises(SegmentUnreadable):
        refuse_unknown(segment)


def test_arrays_are_decoded_from_protobuf() -> None:
    # schemapb.ScalarField: long_data = 3 of packed int64 [1, -1, 300]; string_data = 6
    longs = b"\x1a\x0f\x0a\x0d\x01" + b"\xff" * 9 + b"\x01\xac\x02"
    texts = b"\x32\x06\x0a\x01a\x0a\x01b"
    field = Field("a", "ARRAY", element_type="INT64", field_id=100)
    assert to_field(pa.array([longs, b""], pa.binary()), field, "f").to_pylist() == [
        [1, -1, 300],
        [],
    ]
    field = Field("a", "ARRAY", element_type="VARCHAR", field_id=100)
    assert to_field(pa.array([texts], pa.binary()), field, "f").to_pylist() == [["a", "b"]]
    with pytest.raises(SegmentUnreadable):
        to_field(pa.array([longs[:-3]], pa.binary()), field, "f")


def test_vectors_are_not_copied() -> None:
    flat = np.arange(12, dtype=np.float32)
    raw = pa.FixedSizeBinaryArray.from_buffers(pa.binary(12), 4, [None, pa.py_buffer(flat)])
    vectors = to_field(raw, SCHEMA.fields[1], "f")
    assert vectors.values.buffers()[1].address == raw.buffers()[1].address
    assert to_field(raw.slice(2, 1), SCHEMA.fields[1], "f").to_pylist() == [[6.0, 7.0, 8.0]]


def test_survivors_of_no_deletes_are_all() -> None:
    assert surviving(pa.array([1, 2]), pa.array([1, 2]), {}) is None
    assert surviving(pa.array([1, 2]), pa.array([1, 2]), {9: 9}) is None
    assert surviving(pa.array([1, 2]), pa.array([1, 2]), {2: 3}).to_pylist() == [True, False]


# --- files that real servers wrote


def sample_store() -> MemoryStore:
    store = MemoryStore()
    top = SAMPLES / "backup_demo/binlogs"
    for file in top.rglob("*"):
        if file.is_file():
            store.put(str(file.relative_to(top)), file.read_bytes())
    return store


@samples
def test_segments_of_a_2_3_server_are_read() -> None:
    meta = json.loads((SAMPLES / "backup_demo/meta/collection_meta.json").read_text())
    counts = {}
    for collection in meta["infos"]:
        schema = Schema(
            tuple(
                Field(
                    f["name"],
                    {5: "INT64", 11: "DOUBLE", 21: "VARCHAR", 101: "FLOAT_VECTOR"}[f["data_type"]],
                    primary=bool(f.get("is_primary_key")),
                    dim=next(
                        (int(p["value"]) for p in f.get("type_params", ()) if p["key"] == "dim"),
                        None,
                    ),
                    field_id=f["fieldID"],
                )
                for f in collection["schema"]["fields"]
            )
        )
        store = sample_store()
        batches = [
            batch
            for partition, segment in collection_files(store, "", collection["collection_id"])
            for batch in read_segment(
                store, "", schema, collection["collection_id"], partition, segment
            )
        ]
        digest = digest_batches(schema.primary.name, batches)
        counts[collection["schema"]["name"]] = digest.rows
    segments = json.loads((SAMPLES / "backup_demo/meta/segment_meta.json").read_text())["infos"]
    written = sum(s["num_of_rows"] for s in segments)
    deleted = {
        pk
        for file in (SAMPLES / "backup_demo/binlogs/delta_log").rglob("*")
        if file.is_file()
        for pk, _ in parse_deletes(file.read_bytes(), str(file))
    }
    assert len(counts) == 2
    assert deleted
    assert sum(counts.values()) == written - len(deleted)


@samples
def test_an_l0_delta_log_of_a_newer_server_is_read() -> None:
    deletes = parse_deletes((SAMPLES / "l0_delta_log").read_bytes(), "l0")
    assert len(deletes) > 1
    assert all(isinstance(pk, str | int) and ts > 0 for pk, ts in deletes)


@samples
def test_storage_v2_is_named() -> None:
    with pytest.raises(SegmentUnreadable, match="storage v2"):
        parse_binlog((SAMPLES.parent / "v2/cg0.parquet").read_bytes(), event=INSERT, name="cg0")
