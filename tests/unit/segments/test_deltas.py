"""Deletes of every form take the rows that are older than they, and no others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import SegmentUnreadable
from kitestring.segments.deltas import Deletes, DeltaLogs, decode, parse_deletes, surviving
from kitestring.segments.write import _file, delta_log
from tests.unit.segments.support import IDS

FORMS = ("json", "text", "columns", "parquet")


def text_log(*texts: str | None, column: str = "delta") -> bytes:
    table = pa.table({column: pa.array(texts, pa.string())})
    return _file(table, 2, (*IDS, -1), 1, 20, {})


@settings(max_examples=60)
@given(
    rows=st.one_of(
        st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1))),
        st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 9))),
    ),
    form=st.sampled_from(FORMS),
)
def test_every_form_is_read(rows: list[tuple[int | str, int]], form: str) -> None:
    if not rows or (form == "text" and isinstance(rows[0][0], str)):
        return
    assert parse_deletes(delta_log(rows, IDS, form=form), "log") == rows


def test_forms_that_real_logs_have() -> None:
    texts = ('{"pk":-5,"ts":7,"pkType":5}', ' {"ts": 8, "pk": 6}', "7,9")
    assert parse_deletes(text_log(*texts), "log") == [(-5, 7), (6, 8), (7, 9)]
    escaped = '{"pk":"a\\u003cb\\n","ts":7,"pkType":21}'
    assert parse_deletes(text_log(escaped, column="val"), "log") == [("a<b\n", 7)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "7,8,9",
        "a,8",
        "null",
        "[1, 2]",
        "{}",
        '{"pk":1}',
        '{"pk":1,"ts":-1}',
        '{"pk":1,"ts":1.5}',
        '{"pk":1,"ts":"2"}',
        '{"pk":1.5,"ts":2}',
        '{"pk":true,"ts":2,"pkType":1}',
        '{"pk":"1","ts":2,"pkType":5}',
        '{"pk":1,"ts":2,"pkType":21}',
        '{"pk":1,"ts":18446744073709551616}',
        '{"pk":9223372036854775808,"ts":1,"pkType":5}',
        '{"pk":1,"ts":2,"pkType":5}{"pk":3,"ts":4,"pkType":5}',
        '{"pk":1,"ts":2,"pkType":5}\n{"pk":3,"ts":4,"pkType":5}',
        None,
    ],
)
def test_a_text_that_is_no_delete_names_the_log(text: str | None) -> None:
    with pytest.raises(SegmentUnreadable) as error:
        decode(text_log('{"pk":1,"ts":2,"pkType":5}', text), "the/log")
    assert error.value.subject == "the/log"


def test_keys_of_two_types_are_an_error() -> None:
    log = text_log('{"pk":1,"ts":2,"pkType":5}', '{"pk":"1","ts":2,"pkType":21}')
    with pytest.raises(SegmentUnreadable):
        decode(log, "log")


def test_other_columns_are_an_error() -> None:
    table = pa.table({"pk": [1], "when": [2]})
    with pytest.raises(SegmentUnreadable, match="pk, when"):
        decode(_file(table, 2, (*IDS, -1), 1, 5, {}), "log")
    table = pa.table({"pk": [1.5], "ts": [2]})
    with pytest.raises(SegmentUnreadable, match="double"):
        decode(_file(table, 2, (*IDS, -1), 1, 5, {}), "log")


def test_keys_of_another_type_than_the_collection_s_are_an_error() -> None:
    store = MemoryStore()
    store.put("log", delta_log([("a", 1)], IDS))
    with pytest.raises(SegmentUnreadable, match="string, not int64"):
        DeltaLogs(store).read(["log"], pa.int64(), None)


def test_the_newest_delete_of_a_key_counts() -> None:
    store = MemoryStore()
    store.put("1", delta_log([(1, 5), (2, 5)], IDS))
    store.put("2", delta_log([(1, 9), (1, 3), (3, 8)], IDS, form="columns"))
    logs = DeltaLogs(store)

    def read(until: int | None) -> dict[int, int]:
        found = logs.read(["1", "2"], pa.int64(), until)
        return {} if found is None else dict(zip(found.keys.to_pylist(), found.times, strict=True))

    assert read(None) == {1: 9, 2: 5, 3: 8}
    assert read(8) == {1: 5, 2: 5, 3: 8}
    assert read(2) == {}


def test_a_log_is_fetched_once() -> None:
    store = MemoryStore()
    store.put("1", delta_log([(1, 5)], IDS))
    fetched: list[str] = []
    store.before = lambda operation, key: fetched.append(key)
    logs = DeltaLogs(store)
    assert logs.get("1") is logs.get("1")
    assert fetched == ["1"]


def test_a_delete_takes_older_rows_only() -> None:
    keys, times = pa.array([1, 2, 3]), pa.array([10, 20, 30])

    def alive(**deletes: int) -> list[bool] | None:
        named = Deletes(pa.array([int(k[1:]) for k in deletes]), np.array([*deletes.values()]))
        mask = surviving(keys, times, named)
        return None if mask is None else mask.tolist()

    assert surviving(keys, times, None) is None
    assert alive(_9=99) is None
    assert alive(_2=20) is None  # an upsert's own
    assert alive(_2=21, _3=29, _9=99) == [True, False, True]
