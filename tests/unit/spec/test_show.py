"""The resolved spec, and that what is written as YAML is read back to the same values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.spec.document import parse_document
from kitestring.spec.load import load, resolve
from kitestring.spec.show import plain, show_dict, show_yaml
from kitestring.spec.yamltext import to_yaml

CLUSTERS = Path(__file__).parents[3] / "infra" / "clusters"


def test_each_value_shows_its_source(spec_file: Callable[[str], Path], good: str) -> None:
    loaded = load(spec_file(good), {"KITESTRING__COLLECTIONS__0__SHARDS": "2"})
    lines = [line.strip() for line in show_yaml(loaded).splitlines()]
    assert "model: words@1  # file:9" in lines
    assert "shards: 2  # env:KITESTRING__COLLECTIONS__0__SHARDS" in lines
    assert "top_k: 10  # default" in lines
    assert "timeout: 10s  # default" in lines


def test_a_secret_shows_only_its_name(spec_file: Callable[[str], Path], good: str) -> None:
    text = good.replace("{embedded: ./milvus}", "{uri: 'http://h:1', token: {env: TOKEN}}")
    shown = show_yaml(load(spec_file(text), {"TOKEN": "hunter2"}))
    assert "env: TOKEN  # file:3" in shown
    assert "hunter2" not in shown


def test_json_has_the_same(spec_file: Callable[[str], Path], good: str) -> None:
    shown = json.loads(json.dumps(show_dict(load(spec_file(good), {}))))
    assert shown["schema_version"] == 1
    assert shown["spec"]["collections"][0]["indexes"][0]["type"] == "HNSW"
    assert shown["sources"]["collections[0].indexes[0].type"] == "file"
    assert shown["sources"]["connection.timeout"] == "default"


def test_what_is_shown_is_a_spec() -> None:
    for file in sorted(CLUSTERS.glob("*.yaml")):
        loaded = load(file, {})
        again = resolve(parse_document(Path("F"), show_yaml(loaded)), {})
        assert again.spec == loaded.spec


_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
_SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(allow_nan=False),
    _TEXT, st.sampled_from(["on", "01:30", "1", "null", "~", "- a", "a: b", "#x", "1e3", "0x1"]),
)  # fmt: skip
_VALUE = st.recursive(
    _SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXT, inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=150)
@given(st.dictionaries(_TEXT, _VALUE, min_size=1, max_size=4))
def test_written_values_are_read_back(value: dict[str, object]) -> None:
    text = to_yaml(value, {(key,): "a comment" for key in value})
    document = parse_document(Path("F"), text)
    assert document.problems == []
    assert document.data == value


@settings(max_examples=50)
@given(
    st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,20}\Z"),
    st.integers(1, 16),
    st.dictionaries(st.from_regex(r"\A[a-zA-Z_]{1,8}\Z"), st.integers(0, 999) | st.booleans()),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
)
def test_a_spec_written_and_read_is_the_same(
    name: str, shards: int, params: dict[str, int | bool], description: str
) -> None:
    loaded = load(CLUSTERS / "local.yaml", {})
    data = plain(loaded.spec)
    data["collections"][0] |= {"name": name, "shards": shards, "description": description}
    data["collections"][0]["indexes"][0]["params"] = params
    data["collections"][0]["aliases"] = []
    again = resolve(parse_document(Path("F"), to_yaml(data)), {})
    assert plain(again.spec) == data
