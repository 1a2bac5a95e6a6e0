"""What loading gives: positions, sources, variables laid over the file, speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kitestring.errors import SpecInvalid
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

Write = Callable[[str], Path]
Errors = Callable[..., list[str]]


@pytest.fixture
def loaded(spec_file: Write, good: str) -> Callable[[dict[str, str]], LoadedSpec]:
    return lambda environ: load(spec_file(good), environ)


def test_positions_and_sources(loaded: Callable[[dict[str, str]], LoadedSpec]) -> None:
    found = loaded({})
    assert str(found.locate("collections", 0, "indexes", 0, "metric")).endswith("yaml:11:40")
    assert found.locate("collections", 0, "shards").line == 8  # its collection's line
    assert found.sources["collections", 0, "model"] == "file"
    assert found.sources["collections", 0, "shards"] == "default"
    assert found.sources["connection", "database"] == "default"


def test_every_value_has_a_source(loaded: Callable[[dict[str, str]], LoadedSpec]) -> None:
    found = loaded({"KITESTRING__COLLECTIONS__0__ALIASES": "[a, b]"})
    assert found.sources["collections", 0, "aliases", 1] == (
        "env:KITESTRING__COLLECTIONS__0__ALIASES"
    )
    assert set(found.sources.values()) == {
        "file",
        "default",
        "env:KITESTRING__COLLECTIONS__0__ALIASES",
    }


def test_a_variable_beats_the_file(loaded: Callable[[dict[str, str]], LoadedSpec]) -> None:
    found = loaded(
        {
            "KITESTRING__COLLECTIONS__0__SHARDS": "3",
            "KITESTRING__COLLECTIONS__0__INDEXES__0__PARAMS__M": "8",
            "KITESTRING__MODELS__0__VERSION": "1",  # stays text
            "KITESTRING__CONNECTION__TIMEOUT": "1m",
            "KITESTRING__COLLECTIONS__0__LOAD__LOADED": "false",
            "KITESTRING__OBJECTIVES": "{rpo: 1h, rto: 5m}",
            "KITESTRING_SPEC": "not an overlay",
        }
    )
    collection = found.spec.collections[0]
    assert collection.shards == 3
    assert collection.indexes[0].params == {"M": 8}
    assert found.spec.models[0].version == "1"
    assert found.spec.connection.timeout == 60.0
    assert collection.load.loaded is False
    assert found.spec.objectives is not None
    assert found.spec.objectives.rpo == 3600.0
    assert found.sources["objectives", "rto"] == "env:KITESTRING__OBJECTIVES"


def test_a_uri_takes_the_place_of_the_embedded_server(
    loaded: Callable[[dict[str, str]], LoadedSpec],
) -> None:
    found = loaded({"KITESTRING__CONNECTION__URI": "http://h:1"})
    assert found.spec.connection.uri == "http://h:1"
    assert found.spec.connection.embedded is None


def test_an_embedded_server_takes_the_place_of_the_uri(spec_file: Write, good: str) -> None:
    file = spec_file(good.replace("{embedded: ./milvus}", "{uri: 'http://h:1'}"))
    found = load(file, {"KITESTRING__CONNECTION__EMBEDDED": "./data"})
    assert (found.spec.connection.uri, found.spec.connection.embedded) == (None, "./data")


def test_a_uri_takes_the_place_of_the_port_forward_and_back() -> None:
    dev = Path(__file__).parents[3] / "infra" / "clusters" / "dev.yaml"
    inside = load(dev, {"KITESTRING__CONNECTION__URI": "https://dev-milvus:19530"}).spec.connection
    assert (inside.uri, inside.kubernetes) == ("https://dev-milvus:19530", None)
    variable = {"KITESTRING__CONNECTION__KUBERNETES__CONTEXT": "kind"}
    forward = load(dev, variable).spec.connection.kubernetes
    assert forward is not None
    assert forward.context == "kind"
    with pytest.raises(SpecInvalid, match="`uri` names another server: keep one of them"):
        load(dev, {**variable, "KITESTRING__CONNECTION__URI": "https://h:1"})


def test_a_secret_from_another_variable(spec_file: Write, good: str) -> None:
    file = spec_file(
        good.replace("{embedded: ./milvus}", "{uri: 'http://h:1', token: {file: /run/token}}")
    )
    token = load(file, {"KITESTRING__CONNECTION__TOKEN__ENV": "TOKEN"}).spec.connection.token
    assert token is not None
    assert (token.env, token.file) == ("TOKEN", None)


def test_an_item_can_be_added_to_a_list(loaded: Callable[[dict[str, str]], LoadedSpec]) -> None:
    found = loaded({"KITESTRING__COLLECTIONS__0__ALIASES__0": "newest"})
    assert found.spec.collections[0].aliases == ["newest"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "KITESTRING__CONECTION__URI",
            "http://h:1",
            "it fits no key of the spec; did you mean `KITESTRING__CONNECTION__URI`?",
        ),
        (
            "KITESTRING__COLLECTIONS__0__SHARD",
            "2",
            "it fits no key of the spec; did you mean `KITESTRING__COLLECTIONS__0__SHARDS`?",
        ),
        ("KITESTRING__QUUX", "2", "it fits no key of the spec"),
        (
            "KITESTRING__COLLECTIONS__5__SHARDS",
            "2",
            "`5` is no number of an item: the list has 1, counted from 0",
        ),
        (
            "KITESTRING__STATE__DIR",
            "x",
            "it goes below a key that holds a single value; did you mean `KITESTRING__STATE`?",
        ),
        (
            "KITESTRING__COLLECTIONS__0__SHARDS",
            "many",
            'collections[0].shards: must be a whole number (got "many"); allowed: 1 to 16',
        ),
        (
            "KITESTRING__CONNECTION__TOKEN",
            "hunter2",
            "connection.token: secrets never stand in a spec; name where the secret is found, as "
            "`{env: VARIABLE}` or `{file: PATH}`",
        ),
        (
            "KITESTRING__CONNECTION__TIMEOUT",
            "",
            'connection.timeout: not a duration (got ""); allowed: a number and a unit, such as '
            "90s, 15m, 24h or 7d",
        ),
    ],
)
def test_a_variable_that_is_wrong(
    errors: Errors, good: str, name: str, value: str, expected: str
) -> None:
    assert errors(good, {name: value}) == [f"environment variable {name}: {expected}"]


def test_the_environment_of_the_process_is_used(
    spec_file: Write, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITESTRING__COLLECTIONS__0__SHARDS", "4")
    assert load(spec_file(good)).spec.collections[0].shards == 4


def test_paths_start_at_the_spec(spec_file: Write, good: str) -> None:
    file = spec_file(good)
    assert load(file, {}).state_dir == file.parent.resolve() / "state"


def test_five_hundred_collections_within_a_second(spec_file: Write, good: str) -> None:
    head, one = good.split("collections:\n")
    text = head + "collections:\n" + "".join(
        one.replace("name: docs", f"name: docs_{n}\n    aliases: [alias_{n}]\n"
                    f"    chunking: {{strategy: sentence, size: 600, overlap: 80}}\n"
                    f"    load: {{loaded: true, replicas: 2}}")
        for n in range(500)
    )  # fmt: skip
    file = spec_file(text)
    load(file, {})  # imports apart
    start = time.process_time()  # of this process: other work on the machine does not count
    assert len(load(file, {}).spec.collections) == 500
    assert time.process_time() - start < 1.0
