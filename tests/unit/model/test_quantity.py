"""Kubernetes quantities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitestring.model.quantity import (
    TooLarge,
    memory_quantity,
    parse_bytes,
    parse_quantity,
    shown_bytes,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("2", 2.0), ("1.5", 1.5), ("8Gi", 8 * 2**30), ("1G", 10**9), ("64Ki", 65536)],
)
def test_quantities(text: str, value: float) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "8gb", "-1", "8 Gi", "Gi"])
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        parse_quantity(text)


@given(st.integers(min_value=1, max_value=2**45))
def test_a_memory_quantity_is_enough_and_not_far_more(size: int) -> None:
    made = parse_bytes(memory_quantity(size))
    assert made >= size
    assert made - size < (2**30 if size > 4 * 2**30 else 2**28)


@pytest.mark.parametrize(
    ("size", "text"), [(1, "256Mi"), (2**30, "1Gi"), (3 * 2**29, "1536Mi"), (5 * 2**30 + 1, "6Gi")]
)
def test_memory_quantities_are_of_steps_that_people_use(size: int, text: str) -> None:
    assert memory_quantity(size) == text


@pytest.mark.parametrize(
    ("size", "text"), [(512, "512 B"), (3 * 2**30, "3.0 GiB"), (2**42, "4.0 TiB")]
)
def test_bytes_for_people(size: int, text: str) -> None:
    assert shown_bytes(size) == text


@pytest.mark.parametrize("text", ["9" * 400, "9" * 400 + "Gi", "8388608Ti"])
def test_what_kubernetes_cannot_count(text: str) -> None:
    with pytest.raises(TooLarge):
        parse_bytes(text)
