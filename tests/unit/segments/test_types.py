"""Every field type comes back as it was written, from both storage versions and from the wire."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymilvus.grpc_gen import schema_pb2

from kitestring.clients.milvus.wire import record_batch
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import SegmentUnreadable
from kitestring.model.arrow import SCALARS, arrow_schema
from kitestring.model.collection import Field, Schema
from kitestring.model.digest import digest_batches
from kitestring.segments.arrays import decode_arrays, encode_array
from kitestring.segments.columns import to_field
from kitestring.segments.plan import read_part
from tests.unit.segments.support import (
    DIM,
    ELEMENTS,
    batch_of,
    part_of,
    put_chunk,
    rows_of,
    schema_of_all,
)


@pytest.mark.parametrize("storage", [1, 2])
@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize("key", ["INT64", "VARCHAR"])
def test_every_type_comes_back(storage: int, nullable: bool, key: str) -> None:
    schema = schema_of_all(key, nullable=nullable)
    store = MemoryStore()
    put_chunk(store, schema, range(40), storage=storage, nulls=True, row_group=7)
    put_chunk(store, schema, range(40, 45), storage=storage, first_log=2000, nulls=True)

    batches = list(read_part(store, part_of(store, schema, 45)))

    wanted = batch_of(schema, range(45), nulls=True)
    assert pa.Table.from_batches(batches).combine_chunks().to_batches()[0] == wanted
    assert digest_batches("id", batches) == digest_batches("id", [wanted])


@pytest.mark.parametrize("storage", [1, 2])
def test_some_columns_are_some_columns(storage: int) -> None:
    schema = schema_of_all()
    store = MemoryStore()
    put_chunk(store, schema, range(5), storage=storage)
    found = rows_of(store, part_of(store, schema, 5), ["$meta", "id"])
    assert found[3] == {"id": 3, "$meta": '{"n": 3, "s": "é"}'.encode()}
    with pytest.raises(SegmentUnreadable, match="no field `nothing`"):
        rows_of(store, part_of(store, schema, 5), ["id", "nothing"])


# --- fields that came later (2.6)


def later(default: object = None, kind: str = "INT32", nullable: bool = True) -> Schema:
    schema = schema_of_all(dynamic=False)
    field = Field("new", kind, nullable=nullable, field_id=200, default=default)  # type: ignore[arg-type]
    return replace(schema, fields=(*schema.fields, field))


@pytest.mark.parametrize("storage", [1, 2])
@pytest.mark.parametrize(
    ("kind", "default", "value"),
    [
        ("INT32", None, None),
        ("INT32", 7, 7),
        ("BOOL", False, False),
        ("VARCHAR", "", ""),
        ("DOUBLE", 0.5, 0.5),
        ("JSON", '{"a":1}', b'{"a":1}'),
    ],
)
def test_rows_older_than_a_field_have_its_default(
    storage: int, kind: str, default: object, value: object
) -> None:
    store = MemoryStore()
    old = schema_of_all(dynamic=False)
    put_chunk(store, old, range(4), storage=storage)
    new = later(default, kind)
    rows = rows_of(store, part_of(store, new, 4), ["id", "new"])
    assert [row["new"] for row in rows] == [value] * 4
    assert rows_of(store, part_of(store, new, 4), ["new"]) == [{"new": value}] * 4
    # and the next chunk of the same segment has it
    put_chunk(store, new, range(4, 6), storage=storage, first_log=2000)
    rows = rows_of(store, part_of(store, new, 6), ["id", "new"])
    assert [row["new"] for row in rows[:4]] == [value] * 4
    assert [row["id"] for row in rows] == list(range(6))
    assert all(row["new"] not in (None, value) for row in rows[4:] if kind != "BOOL")


@pytest.mark.parametrize("storage", [1, 2])
def test_a_field_that_every_row_has_is_not_made_up(storage: int) -> None:
    store = MemoryStore()
    put_chunk(store, schema_of_all(dynamic=False), range(4), storage=storage)
    new = later(nullable=False)
    with pytest.raises(SegmentUnreadable, match="`new`"):
        rows_of(store, part_of(store, new, 4))
    assert len(rows_of(store, part_of(store, new, 4), ["id"])) == 4


@pytest.mark.parametrize("storage", [1, 2])
def test_a_field_added_after_the_dynamic_one_is_not_taken_for_it(storage: int) -> None:
    schema = schema_of_all()
    last = max(f.field_id or 0 for f in schema.fields)
    added = Field("new", "JSON", nullable=True, field_id=last + 2)
    wider = replace(schema, fields=(*schema.fields, added))
    store = MemoryStore()
    put_chunk(store, schema, range(3), storage=storage)
    (row, *_) = rows_of(store, part_of(store, wider, 3), ["new", "$meta"])
    assert row == {"new": None, "$meta": '{"n": 0, "s": "é"}'.encode()}


@pytest.mark.parametrize("storage", [1, 2])
def test_rows_older_than_dynamic_fields_have_none(storage: int) -> None:
    store = MemoryStore()
    put_chunk(store, schema_of_all(dynamic=False), range(3), storage=storage)
    rows = rows_of(store, part_of(store, schema_of_all(), 3), ["id", "$meta"])
    assert rows[0] == {"id": 0, "$meta": b"{}"}


@pytest.mark.parametrize("storage", [1, 2])
def test_a_field_that_the_schema_does_not_name_is_an_error(storage: int) -> None:
    store = MemoryStore()
    put_chunk(store, later(), range(3), storage=storage)
    with pytest.raises(SegmentUnreadable, match="the fields 200"):
        rows_of(store, part_of(store, schema_of_all(dynamic=False), 3))


def test_a_type_that_is_not_known_is_named() -> None:
    store = MemoryStore()
    schema = schema_of_all(dynamic=False)
    put_chunk(store, schema, range(3))
    strange = replace(schema, fields=(*schema.fields, Field("g", "GEOMETRY", field_id=300)))
    with pytest.raises(SegmentUnreadable, match="GEOMETRY"):
        rows_of(store, part_of(store, strange, 3))


# --- values


@pytest.mark.parametrize("element", ELEMENTS)
def test_arrays_are_coded_as_protobuf_does(element: str) -> None:
    values = {"BOOL": [True, False], "VARCHAR": ["", "é" * 200], "FLOAT": [1.5], "DOUBLE": [-0.0]}
    items: list[object] = values.get(element, [0, 1, -1, 127, -128])  # type: ignore[assignment]
    slots = {"BOOL": "bool_data", "INT64": "long_data", "FLOAT": "float_data",
             "DOUBLE": "double_data", "VARCHAR": "string_data"}  # fmt: skip
    message = schema_pb2.ScalarField()
    getattr(message, slots.get(element, "int_data")).data.extend(items)
    assert encode_array(items, element) == message.SerializeToString()
    wanted = pa.list_(SCALARS[element])
    coded = pa.array([message.SerializeToString(), None, b""], pa.binary())
    assert decode_arrays(coded, element, wanted).to_pylist() == [items, None, []]


@settings(max_examples=150)
@given(data=st.binary(max_size=40), element=st.sampled_from(ELEMENTS))
def test_bytes_that_are_no_array_are_our_error(data: bytes, element: str) -> None:
    field = Field("a", "ARRAY", element_type=element, field_id=100)
    try:
        found = to_field(pa.array([data], pa.binary()), field, "file")
    except SegmentUnreadable as error:
        assert error.subject == "file"  # noqa: PT017 - either way is right
    else:
        assert len(found) == 1


def test_an_array_of_other_elements_is_found_out() -> None:
    field = Field("a", "ARRAY", element_type="INT64", field_id=100)
    texts = pa.array([encode_array(["x"], "VARCHAR")], pa.binary())
    with pytest.raises(SegmentUnreadable, match="element type"):
        to_field(texts, field, "f")


def test_vectors_are_not_copied() -> None:
    flat = np.arange(12, dtype=np.float32)
    field = Field("v", "FLOAT_VECTOR", dim=3, field_id=101)
    raw = pa.FixedSizeBinaryArray.from_buffers(pa.binary(12), 4, [None, pa.py_buffer(flat)])
    vectors = to_field(raw, field, "f")
    assert vectors.values.buffers()[1].address == raw.buffers()[1].address
    assert to_field(raw.slice(2, 1), field, "f").to_pylist() == [[6.0, 7.0, 8.0]]


def test_nulls_where_none_may_be_are_found_out() -> None:
    with pytest.raises(SegmentUnreadable, match="null"):
        to_field(pa.array([1, None], pa.int64()), Field("n", "INT64"), "f")


# --- the same over the API


def test_the_wire_gives_the_same_types() -> None:
    schema = schema_of_all(nullable=True, dynamic=True)
    wanted = batch_of(schema, range(9), nulls=True)

    found = record_batch(on_the_wire(schema, wanted), schema, wanted.schema.names)

    assert found.schema == arrow_schema(schema)
    assert found == wanted


def on_the_wire(schema: Schema, batch: pa.RecordBatch) -> list[schema_pb2.FieldData]:
    """What a server answers: vectors that are null are left out, scalars have something."""
    slots = {"BOOL": "bool_data", "INT64": "long_data", "FLOAT": "float_data",
             "DOUBLE": "double_data", "VARCHAR": "string_data", "JSON": "json_data"}  # fmt: skip
    empty = {"BOOL": False, "VARCHAR": "", "JSON": b""}
    found = []
    for field in (*schema.fields, Field("$meta", "JSON")):
        name = field.name
        values = batch.column(name).to_pylist()
        data = schema_pb2.FieldData(field_name=name, is_dynamic=name == "$meta")
        if field.nullable:
            data.valid_data.extend(value is not None for value in values)
        present = [value for value in values if value is not None]
        if field.type == "FLOAT_VECTOR":
            data.vectors.dim = DIM
            data.vectors.float_vector.data.extend(n for row in present for n in row)
        elif field.type == "SPARSE_FLOAT_VECTOR":
            data.vectors.sparse_float_vector.contents.extend(present)
        elif field.type == "INT8_VECTOR":
            data.vectors.int8_vector = np.array(present, np.int8).tobytes()
        elif field.is_vector:
            setattr(data.vectors, field.type.lower(), b"".join(present))
        elif field.type == "ARRAY":
            for row in values:
                inner = data.scalars.array_data.data.add()
                slot = getattr(inner, slots.get(field.element_type or "", "int_data"))
                slot.data.extend(row or [])
        else:
            slot = getattr(data.scalars, slots.get(field.type, "int_data"))
            slot.data.extend(empty.get(field.type, 0) if v is None else v for v in values)
        found.append(data)
    return found
