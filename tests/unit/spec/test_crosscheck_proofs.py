"""A proof that a spec asks for has what it needs, or the spec says what is missing."""

from __future__ import annotations

import pytest

from kitestring.spec.crosscheck_proofs import check_proofs

WHOLE = {"golden": "golden.yaml", "model": "words@1"}


def problems(collection: dict[str, object], **top: object) -> list[tuple[str, str]]:
    data = {"collections": [collection], "objectives": {}, **top}
    return [(".".join(map(str, p.path)), p.message) for p in check_proofs(data)]


@pytest.mark.parametrize("recall", [{}, {"queries": "golden"}, {"queries": "stored"}, None, 7])
def test_nothing_is_missing(recall: object) -> None:
    assert problems({**WHOLE, "recall": recall}) == []


def test_golden_queries_need_a_file_and_a_model() -> None:
    found = problems({"recall": {}})
    assert [path for path, _ in found] == ["collections.0.recall"] * 2
    assert "no `golden`" in found[0][1]
    assert "no `model`" in found[1][1]
    assert problems({"recall": {"queries": "stored"}}) == []


def test_the_minimum_comes_from_somewhere() -> None:
    ((_, message),) = problems({**WHOLE, "recall": {"k": 5}}, objectives=None)
    assert message.endswith("add minimum")
    assert problems({**WHOLE, "recall": {"k": 5, "minimum": 0.9}}, objectives=None) == []
