"""The digest of rows does not depend on how they were read, and sees every change."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kitestring.model.digest import digest_batches

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("embedding", pa.list_(pa.float32(), 2)),
        ("n", pa.int64()),
        ("$meta", pa.binary()),
    ]
)
Row = dict[str, Any]

row = st.fixed_dictionaries(
    {
        "id": st.text(max_size=8),
        "embedding": st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=2),
        "n": st.integers(-(2**63), 2**63 - 1),
        "$meta": st.dictionaries(st.text(max_size=4), st.integers()).map(
            lambda d: json.dumps(d).encode()
        ),
    }
)
rows_strategy = st.lists(row, min_size=1, max_size=12)


def batch(rows: list[Row], schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=schema)


@given(rows_strategy, st.randoms(use_true_random=False), st.integers(1, 5))
def test_order_and_batch_size_do_not_matter(rows: list[Row], random: Any, size: int) -> None:
    shuffled = rows[:]
    random.shuffle(shuffled)
    parts = [batch(shuffled[i : i + size]) for i in range(0, len(shuffled), size)]

    assert digest_batches("id", parts) == digest_batches("id", [batch(rows)])


def test_order_of_columns_does_not_matter() -> None:
    rows = [{"id": "a", "embedding": [0.5, 1.0], "n": 3, "$meta": b"{}"}]
    turned = pa.schema(list(reversed(list(SCHEMA))))

    assert digest_batches("id", [batch(rows, turned)]) == digest_batches("id", [batch(rows)])


@given(rows_strategy)
def test_a_row_that_is_there_twice_is_seen(rows: list[Row]) -> None:
    once, twice = (
        digest_batches("id", [batch(rows)]),
        digest_batches("id", [batch([*rows, rows[0]])]),
    )

    assert (twice.rows, twice.keys == once.keys, twice.content == once.content) == (
        once.rows + 1,
        False,
        False,
    )


@given(rows_strategy, st.data())
def test_a_changed_value_changes_the_content_and_not_the_keys(rows: list[Row], data: Any) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    changed = [dict(r) for r in rows]
    n = changed[index]["n"]
    changed[index]["n"] = n - 1 if n > 0 else n + 1

    before, after = digest_batches("id", [batch(rows)]), digest_batches("id", [batch(changed)])

    assert before.keys == after.keys
    assert before.content != after.content


def test_spelling_of_dynamic_json_does_not_matter() -> None:
    def of(meta: bytes) -> str:
        rows = [{"id": "a", "embedding": [0.0, 0.0], "n": 1, "$meta": meta}]
        return digest_batches("id", [batch(rows)]).content

    assert of(b'{"b": 1, "a": "\\u00e9"}') == of('{"a":"é","b":1}'.encode())
    assert of(b'{"a": 1}') != of(b'{"a": 2}')


def test_neighbouring_values_do_not_run_together() -> None:
    schema = pa.schema([("id", pa.string()), ("a", pa.string()), ("b", pa.string())])
    left = batch([{"id": "k", "a": "xy", "b": "z"}], schema)
    right = batch([{"id": "k", "a": "x", "b": "yz"}], schema)

    assert digest_batches("id", [left]).content != digest_batches("id", [right]).content


def test_a_sliced_batch_is_read_from_its_own_start() -> None:
    rows = [{"id": str(i), "embedding": [float(i), 1.0], "n": i, "$meta": b"{}"} for i in range(6)]
    whole = batch(rows)

    assert digest_batches("id", [whole.slice(2, 3)]) == digest_batches("id", [batch(rows[2:5])])
