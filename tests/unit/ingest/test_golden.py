from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.errors import GoldenInvalid
from kitestring.ingest.golden import GoldenQuery, load_golden

DEMO = Path(__file__).parents[3] / "infra/golden/docs.yaml"


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "golden.yaml"
    file.write_text(text)
    return file


def test_queries_and_their_documents(tmp_path: Path) -> None:
    file = write(tmp_path, "version: 1\nqueries:\n  - query: what\n    relevant: [a.md, b.md]\n")
    assert load_golden(file) == (GoldenQuery("what", ("a.md", "b.md")),)


def test_the_demos_queries_are_forty_or_more() -> None:
    assert len(load_golden(DEMO)) >= 40


def test_every_error_is_named_with_its_line(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "version: 1\nqueries:\n"
        "  - query: fine\n    relevant: [a.md]\n"
        "  - relevant: [a.md]\n"
        "  - query: no documents\n    relevant: []\n"
        "  - query: fine\n    relevant: [b.md]\n"
        "  - query: extra\n    relevant: [b.md]\n    weight: 3\n"
        "  - text\n",
    )
    with pytest.raises(GoldenInvalid) as failure:
        load_golden(file)
    lines = failure.value.message.splitlines()
    assert [line.split(":")[1] for line in lines] == ["5", "6", "8", "10", "13"]
    assert "unknown key `weight`" in lines[3]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", ":1: it has no `version: 1`"),
        ("version: 1\nqueries: []\n", "`queries` is not a list"),
        ("version: 1\nquerys: []\n", ":2: unknown key `querys`"),
        ("version: 1\nqueries: [\n", "golden.yaml:3"),
    ],
)
def test_a_file_of_another_shape(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(GoldenInvalid) as failure:
        load_golden(write(tmp_path, text))
    assert what in failure.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(GoldenInvalid, match="can't be read"):
        load_golden(tmp_path / "nothing.yaml")
