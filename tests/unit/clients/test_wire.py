"""Columns from the wire, and literals of the filter language."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pymilvus.grpc_gen import schema_pb2

from kitestring.clients.milvus.failures import translate
from kitestring.clients.milvus.filters import literal, quote
from kitestring.clients.milvus.values import field_of
from kitestring.clients.milvus.wire import record_batch
from kitestring.errors import AuthenticationFailed, MilvusError, ServerUnreachable
from kitestring.model.collection import Field, Schema

SCHEMA = Schema(
    (Field("id", "VARCHAR", primary=True), Field("n", "INT8"), Field("v", "FLOAT_VECTOR", dim=2)),
    dynamic=True,
)


def answer() -> list[schema_pb2.FieldData]:
    ident = schema_pb2.FieldData(field_name="id")
    ident.scalars.string_data.data.extend(["a", "b"])
    number = schema_pb2.FieldData(field_name="n", valid_data=[True, False])
    number.scalars.int_data.data.extend([7, 0])
    vector = schema_pb2.FieldData(field_name="v")
    vector.vectors.dim = 2
    vector.vectors.float_vector.data.extend([1.0, 2.0, 3.0, 4.0])
    meta = schema_pb2.FieldData(field_name="", is_dynamic=True)
    meta.scalars.json_data.data.extend([b'{"x":1}', b"{}"])
    return [ident, number, vector, meta]


def test_columns_in_the_order_asked_for() -> None:
    batch = record_batch(answer(), SCHEMA, ["v", "id", "$meta", "n"])

    assert batch.schema.names == ["v", "id", "$meta", "n"]
    assert batch.schema.field("n").type == pa.int8()
    assert batch.to_pylist() == [
        {"v": [1.0, 2.0], "id": "a", "$meta": b'{"x":1}', "n": 7},
        {"v": [3.0, 4.0], "id": "b", "$meta": b"{}", "n": None},
    ]
    assert batch.column("v").flatten().to_numpy().dtype == np.float32


def test_a_column_that_is_not_in_the_answer_is_an_error() -> None:
    with pytest.raises(ValueError, match="no column `id`"):
        record_batch(answer()[1:], SCHEMA, ["id"])


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", '"plain"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("two\nlines", '"two\\nlines"'),
        ("", '""'),
    ],
)
def test_quote(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_literal_of_a_number() -> None:
    assert literal(-5) == "-5"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("auth check failure, please check username and password", AuthenticationFailed),
        ("Fail connecting to server on 127.0.0.1:1", ServerUnreachable),
        ("find no available rootcoord, check rootcoord state", ServerUnreachable),
        ("something else", MilvusError),
    ],
)
def test_errors_of_the_server_are_told_apart(text: str, kind: type[MilvusError]) -> None:
    error = translate(Exception(text), "http://h:1")

    assert type(error) is kind


def test_a_server_stack_is_cut_to_its_first_line() -> None:
    assert translate(Exception("bad thing\n/go/src/x.go:1\n"), "u").args == ("bad thing",)


@pytest.mark.parametrize(
    ("slot", "value", "default"),
    [
        ("bool_data", False, False),
        ("int_data", 0, 0),
        ("long_data", 2**40, 2**40),
        ("double_data", 0.5, 0.5),
        ("string_data", "", ""),
        ("bytes_data", b'{"a":1}', '{"a":1}'),
        (None, None, None),
    ],
)
def test_defaults_of_fields_are_plain_values(
    slot: str | None, value: object, default: object
) -> None:
    raw = schema_pb2.ValueField()
    if slot is not None:
        setattr(raw, slot, value)
    field = field_of({"name": "f", "type": 5, "default_value": raw})
    assert field.default == default
    assert field_of({"name": "f", "type": 5}).default is None
