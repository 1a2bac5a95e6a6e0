from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kitestring.errors import ExtractFailed
from kitestring.ingest.documents import Source
from kitestring.ingest.metadata import Enricher, extra_digest
from kitestring.model.collection import Field, Schema
from kitestring.spec.models import Metadata

DYNAMIC = Schema((Field("id", "VARCHAR", primary=True),), dynamic=True)
TEXT = '---\nauthor: A. Kite\ntags: [one, "two"]\nyear: 2024\n---\n\n# The title #\n\nA text.\n'


@pytest.fixture
def source(tmp_path: Path) -> Source:
    file = tmp_path / "guide/en/start.md"
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    os.utime(file, (1_700_000_000, 1_700_000_000.5))
    return Source("guide/en/start.md", file)


def enriched(
    source: Source, schema: Schema = DYNAMIC, text: str = TEXT, **asked: Any
) -> tuple[str, dict[str, Any]]:
    enricher = Enricher(Metadata.model_validate(asked), schema)
    body, front = enricher.split(source, text)
    return body, enricher.values(source, text.encode(), body, front)


def test_values_come_from_everywhere_that_the_spec_says(source: Source) -> None:
    body, values = enriched(
        source,
        constants={"source": "handbook", "public": True},
        path=r"(?P<product>[^/]+)/(?P<lang>[a-z]{2})/.*",
        front_matter=["author", "tags", "missing"],
        title="heading",
        modified="changed",
    )
    assert values == {
        "source": "handbook",
        "public": True,
        "product": "guide",
        "lang": "en",
        "author": "A. Kite",
        "tags": ["one", "two"],
        "heading": "The title",
        "changed": 1_700_000_000_500,
    }
    assert body == "\n# The title #\n\nA text.\n"


def test_without_metadata_nothing_is_touched(source: Source) -> None:
    nothing = Enricher(None, DYNAMIC)
    assert nothing.split(source, TEXT) == (TEXT, {})
    assert nothing.values(source, b"", TEXT, {}) == {}
    assert nothing.made_by(source) == extra_digest({}) == ""


def test_values_are_of_their_columns_types(source: Source) -> None:
    columns = (
        Field("year", "INT16"),
        Field("tags", "ARRAY", element_type="VARCHAR", max_length=10),
        Field("lang", "VARCHAR", max_length=2),
        Field("public", "BOOL"),
        Field("weight", "DOUBLE"),
    )
    _, values = enriched(
        source,
        Schema((*DYNAMIC.fields, *columns)),
        constants={"public": "true", "weight": 2},
        path=r".*/(?P<lang>[a-z]+)/.*",
        front_matter=["year", "tags"],
    )
    assert values == {
        "public": True,
        "weight": 2.0,
        "lang": "en",
        "year": 2024,
        "tags": ["one", "two"],
    }


@pytest.mark.parametrize(
    ("column", "asked", "what"),
    [
        (Field("author", "INT64"), {"front_matter": ["author"]}, '`author` can\'t be "A. Kite"'),
        (Field("year", "INT8"), {"front_matter": ["year"]}, "the column is INT8"),
        (Field("lang", "VARCHAR", max_length=1), {"path": ".*/(?P<lang>..)/.*"}, "takes 1 bytes"),
        (Field("gone", "VARCHAR"), {"front_matter": ["gone"]}, "no value for the field `gone`"),
        (Field("tags", "VARCHAR"), {"front_matter": ["tags"]}, "the column is VARCHAR"),
    ],
)
def test_what_does_not_fit_a_column_names_document_and_field(
    source: Source, column: Field, asked: dict[str, Any], what: str
) -> None:
    with pytest.raises(ExtractFailed, match=what) as told:
        enriched(source, Schema((*DYNAMIC.fields, column)), **asked)
    assert str(source.path) in told.value.message


def test_whole_numbers_keep_all_their_digits(source: Source) -> None:
    schema = Schema((*DYNAMIC.fields, Field("rank", "INT64")))
    for rank in (2**63 - 1, -(2**63), 2**53 + 1):
        text = f"---\nrank: {rank}\n---\nText.\n"
        assert enriched(source, schema, text, front_matter=["rank"])[1] == {"rank": rank}
        quoted = f"---\nrank: '{rank}'\n---\nText.\n"
        assert enriched(source, schema, quoted, front_matter=["rank"])[1] == {"rank": rank}


@pytest.mark.parametrize("kind", ["INT64", "DOUBLE", "JSON", "dynamic"])
@pytest.mark.parametrize("rank", [".inf", "-.inf", ".nan", "99999999999999999999", "1e400"])
def test_numbers_that_milvus_would_change_are_refused(source: Source, kind: str, rank: str) -> None:
    if (kind, rank) == ("DOUBLE", "99999999999999999999"):
        return  # a double of that size is a number
    fields = DYNAMIC.fields if kind == "dynamic" else (*DYNAMIC.fields, Field("rank", kind))
    text = f"---\nrank: {rank}\n---\nText.\n"
    with pytest.raises(ExtractFailed, match="`rank` can't be"):
        enriched(source, Schema(fields, dynamic=True), text, front_matter=["rank"])
    if kind in ("JSON", "dynamic"):
        text = f"---\nrank: {{a: [1, {rank}]}}\n---\nText.\n"
        with pytest.raises(ExtractFailed, match="`rank` can't be"):
            enriched(source, Schema(fields, dynamic=True), text, front_matter=["rank"])


def test_broken_front_matter_is_named_with_its_line(source: Source) -> None:
    text = "---\nauthor: [A\ntags: x\n---\nText.\n"
    with pytest.raises(ExtractFailed, match=r"start\.md:[34]:"):
        enriched(source, text=text, front_matter=["author"])
    with pytest.raises(ExtractFailed, match=r"start\.md:2:1: front matter is a mapping"):
        enriched(source, text="---\n- a\n---\nText.\n", front_matter=["author"])
    with pytest.raises(ExtractFailed, match="no text below"):
        enriched(source, text="---\na: 1\n---\n", front_matter=["author"])
    assert enriched(source, text="---\n---\nText.\n", front_matter=["author"])[1] == {}
    assert enriched(source, text="--- no\nText.\n", front_matter=["author"])[0] == "--- no\nText.\n"


def test_titles(tmp_path: Path) -> None:
    page = Source("p.html", tmp_path / "p.html")
    enricher = Enricher(Metadata(title="title"), DYNAMIC)
    html = b"<html><title>\n One &amp; two </title><p>x"
    assert enricher.values(page, html, "x", {}) == {"title": "One & two"}
    plain = Source("notes.txt", tmp_path / "notes.txt")
    assert enricher.values(plain, b"# x", "# x", {}) == {"title": "notes"}


def test_the_digest_is_of_all_values() -> None:
    one, other = extra_digest({"a": 1, "b": [1]}), extra_digest({"b": [1], "a": 1})
    assert one == other
    assert len(one) == 32
    assert one != extra_digest({"a": 1, "b": [2]})
