"""Files that are no spec at all, and what YAML means here."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.errors import SpecInvalid, SpecNotFound
from kitestring.spec.document import parse_document, parse_scalar
from kitestring.spec.load import load


def parsed(text: str) -> object:
    return parse_document(Path("F"), text).data


def fault(text: str) -> str:
    with pytest.raises(SpecInvalid) as caught:
        load_text(text)
    return caught.value.message


def load_text(text: str) -> None:
    from kitestring.spec.load import resolve

    resolve(parse_document(Path("F"), text), {})


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SpecNotFound) as caught:
        load(tmp_path / "none.yaml", {})
    assert caught.value.message == f"there is no spec at {tmp_path}/none.yaml"
    assert "kitestring spec adopt" in caught.value.hint


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(SpecInvalid) as caught:
        load(tmp_path, {})
    assert caught.value.message == f"{tmp_path} is a directory, not a spec file"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: b\nc: \xff\xfe\n", "F:2:4: the file is not text in UTF-8"),
        (
            b"a: b\n\x00\x01",
            "F:2:1: a control character (0x00): this is not a text file",
        ),
    ],
)
def test_binary_file(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "F"
    file.write_bytes(content)
    with pytest.raises(SpecInvalid) as caught:
        load(file, {})
    assert caught.value.message.replace(str(file), "F") == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "F:1:1: the file is empty; write a spec, or `kitestring spec adopt --uri URI`"),
        (
            "# nothing\n",
            "F:1:1: the file is empty; write a spec, or `kitestring spec adopt --uri URI`",
        ),
        ("\n- a\n", "F:2:1: a spec is a mapping of keys to values, this is a list"),
        ("spec", "F:1:1: a spec is a mapping of keys to values, this is a single value"),
        (
            "version: 1\ncluster: a: b\n",
            "F:2:11: this is no YAML: a second `:` in this line, or wrong indentation; put text "
            "that holds `: ` in quotes",
        ),
        (
            "version: 1\n\tcluster: x\n",
            "F:2:1: this is no YAML: a tab in the indentation: use spaces",
        ),
        (
            "cluster:\n\tname: x\n",
            "F:2:1: this is no YAML: a tab in the indentation: use spaces",
        ),
        (
            "version: @1\n",
            "F:1:10: this is no YAML: a character that can't start a value: put text that begins "
            "with @, ` or % in quotes",
        ),
        (
            "version: 1\n---\nversion: 1\n",
            "F:2:1: this is no YAML: a second document begins here (`---`); a file holds one spec",
        ),
        (
            "models: [a, b\nstate: x\n",
            "F:2:6: this is no YAML: did not find expected ',' or ']' (while parsing a flow "
            "sequence)",
        ),
    ],
)  # fmt: skip
def test_no_spec(text: str, message: str) -> None:
    assert fault(text) == message


def test_a_key_twice_names_both_lines() -> None:
    found = parse_document(Path("F"), "version: 1\nstate: a\nstate: b\n").problems
    assert [p.text("F") for p in found] == [
        "F:3:1: state: this key is there twice, first in line 2"
    ]


def test_what_of_yaml_is_not_read() -> None:
    text = "a: &x {b: 1}\nc: {<<: *x}\nd: !vault secret\n? [e]\n: 1\n"
    found = parse_document(Path("F"), text).problems
    assert [p.text("F") for p in found] == [
        "F:2:5: c: merge keys (`<<`) are not read: write the keys out",
        "F:3:4: d: YAML tags are not read: remove `!vault`",
        "F:4:3: a key must be a single word",
    ]


def test_an_alias_of_its_own_parent_ends() -> None:
    found = parse_document(Path("F"), "a: &x [*x]\n").problems
    assert ["must not stand for something that contains it" in p.message for p in found] == [True]


def test_aliases_within_aliases_do_not_eat_the_memory() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    document = parse_document(Path("F"), "\n".join(levels))
    assert document.problems


@pytest.mark.parametrize(
    "text",
    ["a: " + "[" * 250 + "]" * 250, "a: " + "[" * 100_000, "a:\n" + " - " * 100_000 + "x"],
    ids=["some", "unclosed", "dashes"],
)
def test_nested_too_deeply(text: str) -> None:
    assert fault(text) == "F:1:1: this YAML is nested too deeply"


def test_brackets_in_text_are_no_nesting() -> None:
    assert parsed("a: '" + "[" * 1000 + "'\n") == {"a": "[" * 1000}


def test_an_alias_is_followed() -> None:
    assert parsed("a: &x {b: 1}\nc: *x\n") == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("01:30", "01:30"),  # not 90, as in YAML 1.1
        ("on", "on"),
        ("No", "No"),
        ("true", True),
        ("~", None),
        ("", None),
        ("0x10", 16),
        ("010", 10),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-3", -3),
        ('"1"', "1"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("[a, 1]", ["a", 1]),
        ("{M: 16}", {"M": 16}),
    ],
)
def test_scalars_are_of_yaml_1_2(text: str, value: object) -> None:
    read = parse_scalar(text)
    assert read == value
    assert type(read) is type(value)


def test_positions_count_from_1_and_point_at_the_key() -> None:
    document = parse_document(
        Path("F"), "version: 1\ncollections:\n  - name: a\n    load: {loaded: true}\n"
    )
    assert document.positions == {
        (): (1, 1),
        ("version",): (1, 1),
        ("collections",): (2, 1),
        ("collections", 0): (3, 5),
        ("collections", 0, "name"): (3, 5),
        ("collections", 0, "load"): (4, 5),
        ("collections", 0, "load", "loaded"): (4, 12),
    }  # fmt: skip
