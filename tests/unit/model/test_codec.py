"""Values survive the way to JSON and back; what is not known is an error."""

from __future__ import annotations

import json

import pytest

from kitestring.model.codec import from_plain, to_plain
from kitestring.model.collection import Field, Schema

SCHEMA = Schema(
    (Field("id", "VARCHAR", primary=True, max_length=8), Field("v", "FLOAT_VECTOR", dim=4))
)


def test_round_trip() -> None:
    assert from_plain(Schema, json.loads(json.dumps(to_plain(SCHEMA)))) == SCHEMA


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown field 'colour' in Schema"):
        from_plain(Schema, {**to_plain(SCHEMA), "colour": "red"})


def test_a_wrong_type_names_the_field() -> None:
    plain = to_plain(SCHEMA)
    plain["fields"][1]["dim"] = "many"
    with pytest.raises(ValueError, match=r"Schema\.fields\.1\.dim"):
        from_plain(Schema, plain)
