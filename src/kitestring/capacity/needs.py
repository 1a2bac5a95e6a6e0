"""What each collection needs: memory of a replica, disk, object storage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kitestring.capacity.calibration import CALIBRATION, Calibration
from kitestring.capacity.result import CollectionNeed
from kitestring.capacity.size import field_bytes, index_size, vector_bytes
from kitestring.model.collection import Field, Schema
from kitestring.spec.models import CollectionSpec, IndexSpec, Spec
from kitestring.spec.schema import collection_schema

SEGMENT_BYTES = 2**30
"""`dataCoord.segment.maxSize`: rows of a sealed segment have about this many bytes."""
GROWING_BYTES = 128 * 2**20
"""Rows of a shard that are not sealed yet: `dataCoord.segment.sealProportion` 0.12 of a segment."""
STORED_FACTOR = 2.0
"""Segments that compaction has replaced stay beside the new ones until they are collected."""


@dataclass(frozen=True, slots=True)
class RowSize:
    """Mean bytes of a row as it is stored, and what was assumed for it."""

    vectors: float
    scalars: float
    assumed: tuple[str, ...]


def row_size(collection: CollectionSpec, schema: Schema) -> RowSize:
    """Bytes of one row. The passages' text has the length that chunking allows at most."""
    text_field = collection.fields.text
    text_bytes = collection.chunking.size if collection.chunking else None
    scalars, assumed = 0.0, []
    for field in schema.fields:
        if field.is_vector:
            if field.type == "SPARSE_FLOAT_VECTOR":
                assumed.append(f"`{field.name}` has {vector_bytes(field) / 8:.0f} entries a row")
            continue
        size, said = field_bytes(field, text_bytes if field.name == text_field else None)
        scalars += size
        if said:
            assumed.append(said)
    if collection.chunking and collection.chunking.parent_size:
        scalars += collection.chunking.parent_size  # each passage carries its parent's text
    return RowSize(sum(vector_bytes(f) for f in schema.vectors), scalars, tuple(assumed))


def collection_need(
    spec: Spec,
    collection: CollectionSpec,
    rows: int | None,
    *,
    growth: float,
    calibration: Calibration = CALIBRATION,
) -> CollectionNeed:
    """What a collection takes with that many rows, once they have grown.

    `share` is left to the caller, who knows the nodes.
    """
    schema = collection_schema(spec, collection)
    indexes = {i.field: i for i in collection.indexes}
    vectors = schema.vectors
    need = CollectionNeed(
        collection.name,
        rows,
        None,
        vectors[0].dim if vectors else None,
        ", ".join(index_text(indexes.get(f.name)) for f in vectors),
        collection.load.replicas if collection.load.loaded else 0,
    )
    if rows is None:
        return need
    grown = math.ceil(rows * (1 + growth))
    size = row_size(collection, schema)
    counted, disk = _indexes(vectors, indexes, grown)
    stored = grown * (size.vectors + size.scalars)
    memory = calibration.loaded(counted, grown, grown * size.scalars)
    memory += collection.shards * min(GROWING_BYTES, stored)
    return CollectionNeed(
        need.name,
        rows,
        grown,
        need.dimension,
        need.index,
        need.replicas,
        memory=math.ceil(memory),
        disk=math.ceil(disk),
        stored=math.ceil(STORED_FACTOR * stored + max(counted, disk)),
        assumed=size.assumed,
    )


def _indexes(
    vectors: tuple[Field, ...], indexes: Mapping[str, IndexSpec], rows: float
) -> tuple[float, float]:
    """Bytes in memory and on disk of all vector indexes; a vector without one is kept raw."""
    memory = disk = 0.0
    for field in vectors:
        index = indexes.get(field.name)
        if index is None:
            memory += rows * vector_bytes(field)
            continue
        size = index_size(index.type, index.params, field, rows)
        memory += size.memory
        disk += size.disk
    return memory, disk


def index_text(index: IndexSpec | None) -> str:
    """An index in a word or two: `HNSW M=16`."""
    if index is None:
        return "none"
    shown = [f"{k}={index.params[k]}" for k in ("M", "nlist", "m", "nbits") if k in index.params]
    return " ".join([index.type, *shown])
