"""Filters mean the same for rows that were read as for a server, and nothing else is taken."""

from __future__ import annotations

import pyarrow as pa
import pytest

from kitestring.backup.logical.where import parse, select
from kitestring.errors import UsageError
from kitestring.model.arrow import arrow_schema
from kitestring.model.collection import Field, Schema

SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=10),
        Field("n", "INT8"),
        Field("f", "FLOAT"),
        Field("ok", "BOOL"),
        Field("lang", "VARCHAR", nullable=True),
        Field("json", "JSON"),
        Field("v", "FLOAT_VECTOR", dim=2),
    ),
    dynamic=True,
)
ROWS = [
    {"id": "a1", "n": 1, "f": 0.1, "ok": True, "lang": "de"},
    {"id": "a2", "n": -2, "f": 0.5, "ok": False, "lang": 'q"\\'},
    {"id": "b1", "n": 3, "f": 2.0, "ok": True, "lang": None},
]
BATCH = pa.RecordBatch.from_pylist(
    ROWS, schema=arrow_schema(SCHEMA, ["id", "n", "f", "ok", "lang"])
)


@pytest.mark.parametrize(
    ("text", "found", "milvus"),
    [
        ("n >= 1", "a1 b1", "n >= 1"),
        ("n == -2 || id == 'b1'", "a2 b1", '(n == -2) or (id == "b1")'),
        ("not (n > 1) and ok == true", "a1", "(not (n > 1)) and (ok == true)"),
        ("n in [1, 3, 300]", "a1 b1", "n in [1, 3, 300]"),
        ("n not in [1]", "a2 b1", "not (n in [1])"),
        ("n < 1.5", "a1 a2", "n < 1.5"),
        ("n != 300", "a1 a2 b1", "n != 300"),
        ("f == 0.1", "a1", "f == 0.1"),
        ('id like "a%"', "a1 a2", 'id like "a%"'),
        ('lang == "q\\"\\\\"', "a2", 'lang == "q\\"\\\\"'),
        ('lang != "de"', "a2", 'lang != "de"'),  # a null passes no test …
        ('not lang in ["de"]', "a2", 'not (lang in ["de"])'),  # … and no negation of one
        ("n > 0 and f > 1 or id == 'a2'", "a2 b1", '((n > 0) and (f > 1.0)) or (id == "a2")'),
        ("!(ok != false)", "a2", "not (ok != false)"),
    ],
)
def test_a_filter_means(text: str, found: str, milvus: str) -> None:
    wanted = parse(text, SCHEMA)
    assert select(BATCH, wanted).column("id").to_pylist() == found.split()
    assert wanted.as_milvus() == milvus


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is empty"),
        ("n", "it ends where an operator belongs"),
        ("n = 1", "not known in a filter (at 3, `= 1`)"),
        ("n == 'x'", "`n` is INT8, and this is not"),
        ("id == 1", "`id` is VARCHAR"),
        ("ok > true", "only == and != fit"),
        ("color == 'red'", "no field `color`; dynamic fields can't be tested"),
        ("json == 1", "only scalars"),
        ("v == 1", "only scalars"),
        ("id like '%a'", 'only `like "prefix%"`'),
        ("id like 'a_%'", 'only `like "prefix%"`'),
        ("(n == 1", "`)` belongs here"),
        ("n == 1 n == 2", "`and` or `or` is missing"),
        ("n in [1, ]", "a literal belongs here"),
        ("n + 1 == 2", "not known in a filter"),
        ("n == 1e999", "too large"),
        ("n == id", "a literal belongs here"),
        ("1 == n", "a test begins with a field"),
        ("array_contains(n, 1)", "no field `array_contains`"),
    ],
)
def test_what_is_outside_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(text, SCHEMA)
    assert says in refused.value.message
