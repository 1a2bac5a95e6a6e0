"""Segments are read as they were written, and never wrongly where a fault can be seen."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import SegmentUnreadable
from kitestring.model.collection import Field, Schema
from kitestring.segments.layout import collection_files, segment_ids
from kitestring.segments.reader import read_segment
from kitestring.segments.write import delta_log, insert_log

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
    with pytest.raises(SegmentUnreadable, match="same number of logs"):
        rows_of(store)
    store.put("files/insert_log/7/8/9/101/10", b"")
    store.delete("files/insert_log/7/8/9/101/9")
    with pytest.raises(SegmentUnreadable, match="`v`"):
        rows_of(store)


def test_a_log_in_another_s_place_is_found_out() -> None:
    store = store_of()
    store.put("files/insert_log/7/8/9/100/9", store.get("files/insert_log/7/8/9/1/9"))
    with pytest.raises(SegmentUnreadable, match="not of its place"):
        rows_of(store)


def test_a_field_of_another_type_is_found_out() -> None:
    key = Field("id", "VARCHAR", primary=True, field_id=100)
    changed = Schema((key, SCHEMA.fields[1]), dynamic=True)
    with pytest.raises(SegmentUnreadable, match="is VARCHAR"):
        list(read_segment(store_of(), "files", changed, *IDS))


def test_another_dimension_is_found_out() -> None:
    vector = Field("v", "FLOAT_VECTOR", dim=4, field_id=101)
    changed = Schema((SCHEMA.fields[0], vector), dynamic=True)
    with pytest.raises(SegmentUnreadable, match="3 dimensions, not 4"):
        list(read_segment(store_of(), "files", changed, *IDS))


@pytest.mark.parametrize("cut", [1, 3, 10, 40, 110, 300, -1])
def test_a_file_cut_short_names_itself(cut: int) -> None:
    store = store_of()
    key = "files/insert_log/7/8/9/100/9"
    store.put(key, store.get(key)[:cut])
    with pytest.raises(SegmentUnreadable, match=key):
        rows_of(store)


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
