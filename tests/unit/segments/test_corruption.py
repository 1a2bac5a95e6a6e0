"""A file that is changed gives all its rows or our error, never fewer rows, never another error."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import SegmentUnreadable
from kitestring.model.collection import Field, Schema
from kitestring.segments.plan import read_part
from kitestring.segments.write import delta_log
from tests.unit.segments.support import (
    IDS,
    fields_of,
    part_of,
    put_chunk,
    schema_of_all,
)

ROWS = 30
SMALL = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64, field_id=100),
        Field("n", "INT32", nullable=True, field_id=101),
        Field("tags", "ARRAY", element_type="VARCHAR", max_capacity=9, field_id=102),
        Field("v", "FLOAT_VECTOR", dim=8, field_id=103),
    ),
    dynamic=True,
)
STORES: dict[int, MemoryStore] = {}


def whole(storage: int) -> MemoryStore:
    """Two chunks, and a delta log that deletes no row."""
    if storage not in STORES:
        store = STORES[storage] = MemoryStore()
        put_chunk(store, SMALL, range(20), storage=storage, row_group=9)
        put_chunk(store, SMALL, range(20, ROWS), storage=storage, first_log=2000)
        store.put("files/delta_log/7/8/9/5", delta_log([("nobody", 99)], IDS))
    copy = MemoryStore()
    for key, data in STORES[storage].objects.items():
        copy.put(key, data)
    return copy


def check(storage: int, change: Callable[[bytes], bytes], file: int) -> str:
    """Reads a segment of which one file is changed (row ids, which nobody reads, are left out);
    what it came to: `rows` or `error`."""
    store = whole(storage)
    part = part_of(store, SMALL, ROWS)
    keys = [key for key in sorted(store.objects) if storage == 2 or "/9/0/" not in key]
    key = keys[file % len(keys)]
    store.put(key, change(store.objects[key]))
    try:
        rows = sum(batch.num_rows for batch in read_part(store, part))
    except SegmentUnreadable as error:
        assert error.subject in (key, str(part.ref)), error  # noqa: PT017 - either way is right
        return "error"
    # a delete that is changed may be of a row
    assert rows == ROWS or ("delta_log" in key and rows == ROWS - 1)
    return "rows"


many = settings(max_examples=60)


@pytest.mark.parametrize("storage", [1, 2])
@many
@given(file=st.integers(0, 99), bit=st.integers(min_value=0, max_value=10**6))
@example(file=3, bit=21159)  # in the name of a column: no UTF-8 any more
def test_a_flipped_bit(storage: int, file: int, bit: int) -> None:
    def flip(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[bit // 8 % len(data)] ^= 1 << bit % 8
        return bytes(changed)

    check(storage, flip, file)


@pytest.mark.parametrize("storage", [1, 2])
@many
@given(file=st.integers(0, 99), at=st.integers(0, 10**6), noise=st.binary(min_size=1, max_size=9))
def test_bytes_written_over(storage: int, file: int, at: int, noise: bytes) -> None:
    def write(data: bytes) -> bytes:
        start = at % len(data)
        return data[:start] + noise[: len(data) - start] + data[start + len(noise) :]

    check(storage, write, file)


@pytest.mark.parametrize("storage", [1, 2])
@many
@given(file=st.integers(0, 99), size=st.integers(0, 10**6))
def test_a_file_cut_short_is_always_found_out(storage: int, file: int, size: int) -> None:
    assert check(storage, lambda data: data[: size % len(data)], file) == "error"


@pytest.mark.parametrize("storage", [1, 2])
@many
@given(file=st.integers(0, 99), more=st.binary(min_size=1, max_size=50))
def test_bytes_at_the_end_are_always_found_out(storage: int, file: int, more: bytes) -> None:
    assert check(storage, lambda data: data + more, file) == "error"


@pytest.mark.parametrize("storage", [1, 2])
def test_a_file_of_another_chunk_is_found_out(storage: int) -> None:
    store = whole(storage)
    part = part_of(store, SMALL, ROWS)
    first, second = sorted(key for key in store.objects if "/103/" in key)
    store.put(second, store.get(first))
    with pytest.raises(SegmentUnreadable, match="same rows"):
        list(read_part(store, part))


def test_a_file_of_another_segment_is_found_out() -> None:
    store, other = whole(1), MemoryStore()
    put_chunk(other, SMALL, range(20), ids=(7, 8, 10))
    key = min(key for key in store.objects if "/101/" in key)
    store.put(key, other.get(key.replace("/7/8/9/", "/7/8/10/")))
    with pytest.raises(SegmentUnreadable, match="7/8/10/101"):
        list(read_part(store, part_of(store, SMALL, ROWS)))


def test_files_of_both_storages_in_one_segment_are_found_out() -> None:
    store, other = whole(1), whole(2)
    part = part_of(store, SMALL, ROWS)
    key = min(key for key in store.objects if "/103/" in key)
    store.put(key, next(data for name, data in other.objects.items() if "/103/" in name))
    with pytest.raises(SegmentUnreadable, match="storage v2"):
        list(read_part(store, part))


@pytest.mark.parametrize("storage", [1, 2])
def test_rows_that_the_server_has_and_the_logs_have_not_are_missed(storage: int) -> None:
    store = whole(storage)
    with pytest.raises(SegmentUnreadable, match=f"hold {ROWS} rows, not {ROWS + 1}"):
        list(read_part(store, part_of(store, SMALL, ROWS + 1)))


def test_an_encrypted_file_says_so() -> None:
    store = whole(1)
    part = part_of(store, SMALL, ROWS)
    key = min(key for key in store.objects if "/103/" in key)
    data = store.get(key).replace(b'"original_size"', b'"edek"'.ljust(15))
    assert b"edek" in data
    store.put(key, data)
    with pytest.raises(SegmentUnreadable, match="encrypted"):
        list(read_part(store, part))
    store, group = whole(2), min(key for key in whole(2).objects if "/103/" in key)
    store.put(group, b"PARE" + store.get(group)[4:])
    with pytest.raises(SegmentUnreadable, match="encrypted"):
        list(read_part(store, part_of(store, SMALL, ROWS)))


def test_a_group_of_storage_v2_that_is_missing_is_found_out() -> None:
    schema = schema_of_all(nullable=True)
    store = MemoryStore()
    put_chunk(store, schema, range(5), storage=2)
    vector = fields_of(schema)["v_float"].field_id
    for key in [key for key in store.objects if f"/9/{vector}/" in key]:
        store.delete(key)
    with pytest.raises(SegmentUnreadable, match="`v_float`"):
        list(read_part(store, part_of(store, schema, 5)))


def test_a_manifest_of_storage_v3_is_named() -> None:
    store = whole(2)
    store.put("files/insert_log/7/8/9/_metadata/manifest-1.avro", b"")
    with pytest.raises(SegmentUnreadable, match="storage v3"):
        part_of(store, SMALL, ROWS)
