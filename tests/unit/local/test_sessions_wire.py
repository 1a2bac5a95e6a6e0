"""Sessions of former runs, and the protobuf that they travel in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitestring.local.sessions import stale
from kitestring.local.wire import fields, text_field

PREFIX = b"by-dev/meta/session/"


def session(server_id: int) -> bytes:
    return json.dumps({"ServerID": server_id, "Address": "127.0.0.1:1"}).encode()


def test_only_sessions_below_the_newest_id_are_stale() -> None:
    entries = {
        PREFIX + b"id": b"6",
        PREFIX + b"rootcoord": session(4),
        PREFIX + b"querynode-5": session(5),
        PREFIX + b"querynode-4": session(4),
    }
    assert sorted(stale(entries)) == [PREFIX + b"querynode-4", PREFIX + b"rootcoord"]


@pytest.mark.parametrize("counter", [None, b"", b"many"])
def test_without_a_counter_nothing_is_stale(counter: bytes | None) -> None:
    entries = {PREFIX + b"rootcoord": session(1)}
    if counter is not None:
        entries[PREFIX + b"id"] = counter
    assert stale(entries) == []


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"ServerID": null}', b"\xff"])
def test_what_is_no_session_is_left_alone(value: bytes) -> None:
    assert stale({PREFIX + b"id": b"9", PREFIX + b"other": value}) == []


@given(st.lists(st.tuples(st.integers(1, 15), st.binary(max_size=127)), max_size=5))
def test_text_fields_are_read_back(values: list[tuple[int, bytes]]) -> None:
    message = b"".join(text_field(number, value) for number, value in values)
    assert list(fields(message)) == values


def test_a_varint_of_several_bytes() -> None:
    # field 2, 300: the example of the protobuf encoding guide
    assert list(fields(b"\x10\xac\x02")) == [(2, 300)]
