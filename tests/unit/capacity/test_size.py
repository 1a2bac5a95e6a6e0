"""Bytes of indexes and fields, against sizes worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.capacity.size import field_bytes, index_size
from kitestring.model.collection import Field

MILLION = 1_000_000
FLOAT = Field("v", "FLOAT_VECTOR", dim=128)
MB = 1e6


@pytest.mark.parametrize(
    ("kind", "params", "field", "memory"),
    [
        ("FLAT", {}, FLOAT, 512 * MB),
        ("BIN_FLAT", {}, Field("v", "BINARY_VECTOR", dim=128), 16 * MB),
        ("FLAT", {}, Field("v", "FLOAT16_VECTOR", dim=128), 256 * MB),
        # raw, 1,024 centroids of 512 bytes, 8 bytes of id a row
        ("IVF_FLAT", {"nlist": 1024}, FLOAT, 512 * MB + 1024 * 512 + 8 * MB),
        ("IVF_SQ8", {"nlist": 1024}, FLOAT, 128 * MB + 1024 * 512 + 8 * MB),
        # 16 codes of 8 bits a row, codebooks of 256 entries
        ("IVF_PQ", {"nlist": 1024, "m": 16, "nbits": 8}, FLOAT,
         16 * MB + 1024 * 512 + 8 * MB + 256 * 128 * 4),
        # 512 + 8 x 16 + 16 a row, and 72 bytes for every 15th
        ("HNSW", {"M": 16}, FLOAT, 656 * MB + 72 * MB / 15),
        ("HNSW_SQ", {"M": 16, "sq_type": "SQ8"}, FLOAT, 272 * MB + 72 * MB / 15),
        ("DISKANN", {}, FLOAT, 0.225 * 512 * MB),
        ("SPARSE_INVERTED_INDEX", {}, Field("v", "SPARSE_FLOAT_VECTOR"), 1024 * MB),
    ],
)  # fmt: skip
def test_memory_of_an_index(kind: str, params: dict[str, Any], field: Field, memory: float) -> None:
    assert index_size(kind, params, field, MILLION).memory == pytest.approx(memory)


def test_diskann_keeps_its_graph_on_disk_in_blocks() -> None:
    size = index_size("DISKANN", {}, FLOAT, MILLION)
    # 512 + 4 x 57 bytes a row: five to a block of 4 KiB
    assert size.disk == pytest.approx(MILLION / 5 * 4096)
    large = index_size("DISKANN", {}, Field("v", "FLOAT_VECTOR", dim=1536), MILLION)
    assert large.disk == pytest.approx(MILLION * 2 * 4096)  # 6,372 bytes: two blocks


@pytest.mark.parametrize("kind", ["HNSW", "IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN", "AUTOINDEX"])
def test_an_index_grows_with_its_rows(kind: str) -> None:
    one, two = (index_size(kind, {}, FLOAT, rows).memory for rows in (MILLION, 2 * MILLION))
    assert 1.5 * one < two <= 2 * one


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        (Field("a", "INT64"), None, (8.0, "")),
        (Field("a", "VARCHAR", max_length=64), None, (64.0, "")),
        (Field("a", "VARCHAR", max_length=65535), 600, (600.0, "")),
        (Field("a", "VARCHAR", max_length=1024), None,
         (64.0, "`a` has 64 bytes a row, of at most 1024")),
        (Field("a", "JSON"), None, (64.0, "`a` has 64 bytes a row")),
        (Field("a", "ARRAY", element_type="INT32", max_capacity=10), None,
         (40.0, "`a` is full in every row")),
    ],
)  # fmt: skip
def test_bytes_of_a_field_and_what_was_assumed(
    field: Field, text: int | None, expected: tuple[float, str]
) -> None:
    assert field_bytes(field, text) == expected
