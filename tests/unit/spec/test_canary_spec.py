"""What a collection's `canary` needs."""

from __future__ import annotations

import pytest

from kitestring.errors import SpecInvalid

PLACE = "    aliases: [current]"


def test_the_defaults(spec_from):
    canary = spec_from((PLACE, f"    canary: {{}}\n{PLACE}")).spec.collections[0].canary
    assert (canary.rows, canary.reference, canary.vectors) == (300, 1000, "sample")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("    canary: {rows: 5}\n", "20 to 100000"),
        ("    canary: {vectors: some}\n", "sample, all"),
        ("    canary: {}\n    fields: {text: none}\n", "no field plays the role `text`"),
    ],
)
def test_a_canary_that_could_not_be_taken(spec_from, text, said):
    with pytest.raises(SpecInvalid, match=said) as error:
        spec_from((PLACE, text + PLACE))
    assert ":18:" in error.value.message


def test_vectors_without_a_cosine(spec_from):
    columns = (
        "    columns:\n"
        "      - {name: id, type: VARCHAR, primary: true, max_length: 64}\n"
        "      - {name: embedding, type: BINARY_VECTOR, dim: 8}\n"
        "      - {name: text, type: VARCHAR, max_length: 100}\n"
    )
    with pytest.raises(SpecInvalid, match="vectors of type BINARY_VECTOR can't be compared"):
        spec_from((PLACE, f"{columns}    canary: {{}}\n{PLACE}"))
