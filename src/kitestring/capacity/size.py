"""Bytes that indexes and fields take, before calibration. Pure arithmetic.

Sources: the layouts of faiss (FLAT, IVF, PQ) and hnswlib (HNSW: each row has its vector, a list
of 2 M links of 4 bytes at the ground level, and M links for each level above), and Milvus's
"Index Explained" and sizing documents. d is the dimension, raw is rows x d x 4 bytes:

- FLAT raw · IVF_FLAT raw + nlist x d x 4 + 8 a row · IVF_SQ8 raw / 4 + the same
- IVF_PQ m x nbits / 8 a row + 8, and the codebooks · SCANN d / 2 / 2 a row, and raw to rerank
- HNSW (4 d + 8 M + 16) a row, and 4 M + 8 for each of the 1 / (M - 1) rows of a higher level
- DISKANN 0.225 raw in memory (`PQCodeBudgetGBRatio` 0.125 and `SearchCacheBudgetGBRatio` 0.1),
  and 4 d + 4 x (56 + 1) a row on disk, in blocks of 4 KiB
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kitestring.model.collection import Field

_ITEM = {
    "FLOAT_VECTOR": 4.0,
    "FLOAT16_VECTOR": 2.0,
    "BFLOAT16_VECTOR": 2.0,
    "BINARY_VECTOR": 0.125,
}
_SCALAR = {
    "BOOL": 1,
    "INT8": 1,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "FLOAT": 4,
    "DOUBLE": 8,
}
SPARSE_ENTRIES = 128  # entries of a sparse vector where nothing is known of them
_DISK_BLOCK = 4096
_DISKANN_DEGREE = 56  # `MaxDegree` of milvus.yaml
_DISKANN_MEMORY = 0.125 + 0.1
LABEL = 64  # bytes of a text whose bound says little: a key, a label, a name
JSON_ROW = 64  # bytes of a JSON value of which nothing is known


@dataclass(frozen=True, slots=True)
class IndexSize:
    """Bytes of an index over some rows: held in memory, and held on a node's disk."""

    memory: float
    disk: float = 0.0


def vector_bytes(field: Field) -> float:
    """Bytes of one vector as it is stored."""
    if field.type == "SPARSE_FLOAT_VECTOR":
        return SPARSE_ENTRIES * 8.0
    return (field.dim or 0) * _ITEM[field.type]


def index_size(kind: str, params: Mapping[str, Any], field: Field, rows: float) -> IndexSize:
    """The size of a vector index of a type over that many rows.

    AUTOINDEX is counted as HNSW with M 18, its open-source meaning; an index type that is not
    known here as HNSW too, the largest of them.
    """
    one = vector_bytes(field)
    raw = rows * one
    dim = field.dim or 0
    if field.type == "SPARSE_FLOAT_VECTOR":
        return IndexSize(raw)
    if kind in ("FLAT", "BIN_FLAT", "GPU_BRUTE_FORCE"):
        return IndexSize(raw)
    lists = number(params, "nlist", 128) * one + 8 * rows
    if kind in ("IVF_FLAT", "BIN_IVF_FLAT", "GPU_IVF_FLAT"):
        return IndexSize(raw + lists)
    if kind == "IVF_SQ8":
        return IndexSize(rows * dim + lists)
    if kind in ("IVF_PQ", "GPU_IVF_PQ"):
        bits = number(params, "nbits", 8)
        codes = rows * number(params, "m", max(1, dim // 8)) * bits / 8
        return IndexSize(codes + lists + 2**bits * dim * 4)
    if kind == "IVF_RABITQ":
        return IndexSize(rows * (dim / 8 + 8) + lists)
    if kind == "SCANN":
        kept = raw if str(params.get("with_raw_data", True)).lower() != "false" else 0
        return IndexSize(rows * dim / 4 + kept + lists)
    if kind == "DISKANN":
        node = one + 4 * (_DISKANN_DEGREE + 1)
        in_block = _DISK_BLOCK // node  # whole nodes in a block, or whole blocks for a node
        blocks = math.ceil(rows / in_block) if in_block else rows * math.ceil(node / _DISK_BLOCK)
        disk = blocks * _DISK_BLOCK
        return IndexSize(raw * _DISKANN_MEMORY, disk)
    degree = number(params, "M", 18)
    if kind == "GPU_CAGRA":
        return IndexSize(raw + rows * 4 * number(params, "graph_degree", 64))
    links = 8 * degree + 16 + (4 * degree + 8) / max(1.0, degree - 1)
    if kind == "HNSW_SQ":
        one = dim * (2.0 if str(params.get("sq_type", "")).upper() in ("FP16", "BF16") else 1.0)
    elif kind in ("HNSW_PQ", "HNSW_PRQ"):
        one = number(params, "m", max(1, dim // 8)) * number(params, "nbits", 8) / 8
    return IndexSize(rows * (one + links))


def field_bytes(field: Field, text_bytes: int | None = None) -> tuple[float, str]:
    """Mean bytes of a scalar field's value, and what was assumed for it (empty: nothing was).

    Args:
        text_bytes: of the field with the passages, where the spec's chunking says.
    """
    if field.type in _SCALAR:
        return float(_SCALAR[field.type]), ""
    if field.type == "ARRAY":
        inner = _SCALAR.get(field.element_type or "", LABEL)
        return float((field.max_capacity or 0) * inner), f"`{field.name}` is full in every row"
    if field.type == "JSON":
        return float(JSON_ROW), f"`{field.name}` has {JSON_ROW} bytes a row"
    if text_bytes is not None:
        return float(text_bytes), ""
    bound = field.max_length or LABEL
    if bound <= LABEL:
        return float(bound), ""
    return float(LABEL), f"`{field.name}` has {LABEL} bytes a row, of at most {bound}"


def number(params: Mapping[str, Any], key: str, default: float) -> float:
    """A parameter as a number; `default` where it is not there or is none."""
    try:
        return float(params[key])
    except (KeyError, TypeError, ValueError):
        return float(default)
