from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.errors import SpecInvalid
from kitestring.spec.load import load

SPEC = """\
version: 1
cluster: {name: test}
connection: {uri: "http://127.0.0.1:19530"}
state: state
models:
  - {provider: hashing, name: words, version: "1", dimension: 8}
collections:
  - name: docs
    model: words@1
    dynamic: DYNAMIC
    chunking: CHUNKING
    metadata: METADATA
    indexes: [{field: embedding, type: FLAT, metric: COSINE}]
"""
SENTENCE = "{strategy: sentence, size: 200}"


def written(
    tmp_path: Path, *, chunking: str = SENTENCE, metadata: str = "{}", dynamic: str = "true"
) -> Path:
    file = tmp_path / "spec.yaml"
    text = SPEC.replace("CHUNKING", chunking).replace("METADATA", metadata)
    file.write_text(text.replace("DYNAMIC", dynamic))
    return file


@pytest.mark.parametrize(
    ("chunking", "where", "what"),
    [
        ("{strategy: parent-child, size: 200}", ":11:", "parent_size: missing"),
        ("{strategy: parent-child, size: 200, parent_size: 100}", ":11:", "greater than `size`"),
        (
            "{strategy: sentence, size: 200, parent_size: 900}",
            ":11:",
            "goes with `strategy: parent-child`",
        ),
        ("{strategy: fixed, size: 200, percentile: 90}", ":11:", "goes with `strategy: semantic`"),
        ("{strategy: semantic, size: 200, percentile: 100}", ":11:", "percentile"),
    ],
)
def test_chunking_that_does_not_fit_is_named_with_its_line(
    tmp_path: Path, chunking: str, where: str, what: str
) -> None:
    with pytest.raises(SpecInvalid) as told:
        load(written(tmp_path, chunking=chunking))
    assert where in told.value.message
    assert what in told.value.message


@pytest.mark.parametrize(
    ("metadata", "what"),
    [
        ("{path: '(?P<a'}", "not a regular expression"),
        ("{path: 'a/b'}", "no named group in it"),
        ("{constants: {text: x}}", "`text` is a field of the row contract"),
        ("{constants: {a: x}, title: a}", "the field `a` gets a value twice"),
        ("{front_matter: [a, a]}", "the field `a` gets a value twice"),
        ("{titel: a}", "did you mean `title`?"),
    ],
)
def test_metadata_that_does_not_fit_is_named_with_its_line(
    tmp_path: Path, metadata: str, what: str
) -> None:
    with pytest.raises(SpecInvalid) as told:
        load(written(tmp_path, metadata=metadata))
    assert ":12:" in told.value.message
    assert what in told.value.message


def test_fields_need_a_place(tmp_path: Path) -> None:
    with pytest.raises(SpecInvalid, match="no field `a`: add it to `columns`, or say"):
        load(written(tmp_path, metadata="{title: a}", dynamic="false"))
    parents = "{strategy: parent-child, size: 200, parent_size: 900}"
    with pytest.raises(SpecInvalid, match="no field `parent_id`"):
        load(written(tmp_path, chunking=parents, dynamic="false"))
    collection = load(written(tmp_path, chunking=parents, metadata="{title: a}")).spec.collections[
        0
    ]
    assert collection.metadata is not None
    assert collection.metadata.names == ("a",)
