"""Texts and vectors of rows that were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kitestring.canary.arrays import Vectors, stored_vectors
from kitestring.canary.sample import slices
from kitestring.clients.milvus.filters import among
from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.collection import CollectionInfo, Field

_BYTES = 32 * 1024 * 1024  # of an answer; Milvus's own limit is 64 MiB
_SEEN = 1  # ms since the epoch: the keys were read just before, at strong consistency


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows by position. A row that went away meanwhile is not among them."""

    keys: tuple[str, ...]
    texts: tuple[str | None, ...]  # None or empty: there is nothing to embed
    vectors: Vectors

    def __len__(self) -> int:
        return len(self.keys)


def read_rows(
    milvus: Milvus,
    info: CollectionInfo,
    text: str | None,
    vector: Field,
    keys: Sequence[str | int],
) -> Rows:
    """The rows of `keys` that a strong scan has just seen, in that order; a key that is there
    twice gives one row.

    Args:
        text: the field of the texts; None to leave them.

    Raises:
        CollectionNotLoaded, MilvusError: they can't be read.
    """
    key = info.schema.primary.name
    columns = [key, vector.name, *([text] if text else [])]
    texts: dict[str | int, str | None] = {}
    vectors: dict[str | int, Vectors] = {}
    longest = info.schema.field(text) if text else None
    bytes_of_row = 4 * (vector.dim or 0) + ((longest.max_length or 65535) if longest else 0)
    for some in slices(keys, max(1, min(1000, _BYTES // bytes_of_row))):
        asked = among(key, some)
        batch = milvus.columnar.page(info.name, info.schema, columns, asked, since=_SEEN)
        found = batch.column(key).to_pylist()
        said = batch.column(text).to_pylist() if text else [None] * len(found)
        texts |= dict(zip(found, said, strict=True))
        vectors |= dict(zip(found, stored_vectors(batch.column(vector.name), vector), strict=True))
    there = [k for k in keys if k in vectors]
    return Rows(
        tuple(map(str, there)),
        tuple(texts[k] for k in there),
        np.stack([vectors[k] for k in there])
        if there
        else np.zeros((0, vector.dim or 0), np.float32),
    )
