"""Rows that stand for their tenants: real ones, and written ones where the spec asks for them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from kitestring.clients.milvus.filters import among, every, within
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import MilvusError
from kitestring.model.collection import CollectionInfo, Field
from kitestring.model.tally import Counter

CANARY = "kitestring-canary-"
_PAGE = 8192
_ZERO: Mapping[str, Any] = {"BOOL": False, "FLOAT": 0.0, "DOUBLE": 0.0, "JSON": {}, "ARRAY": []}
_HALF = {"FLOAT16_VECTOR": b"\x00\x3c", "BFLOAT16_VECTOR": b"\x80\x3f"}  # 1.0, little-endian


class Census:
    """Counts rows by tenant, and keeps for each the keys whose hashes are smallest."""

    def __init__(self, canaries: int, seed: str) -> None:
        self._wanted, self._seed = canaries, seed.encode()[:64]
        self.rows: dict[str, int] = {}
        self.ownerless = Counter()
        self._kept: dict[str, list[tuple[bytes, str | int]]] = {}

    def add(self, keys: Sequence[str | int], tenants: Sequence[Any]) -> None:
        for key, owner in zip(keys, tenants, strict=True):
            tenant = "" if owner is None else str(owner)
            if not tenant.strip():
                self.ownerless.add(str(key))
                continue
            self.rows[tenant] = self.rows.get(tenant, 0) + 1
            rank = hashlib.blake2b(str(key).encode(), digest_size=16, key=self._seed).digest()
            kept = self._kept.setdefault(tenant, [])
            if len(kept) < self._wanted or rank < kept[-1][0]:
                kept.append((rank, key))
                kept.sort(key=lambda one: one[0])
                del kept[self._wanted :]

    def canaries(self) -> dict[str, list[str | int]]:
        """Tenant -> keys."""
        return {tenant: [key for _, key in kept] for tenant, kept in self._kept.items()}


def tenants_of(
    milvus: Milvus, info: CollectionInfo, field: str | None, partition: str
) -> Iterator[pa.RecordBatch]:
    """All rows of a partition: their keys, and the field where there is one."""
    primary = info.schema.primary
    key, text = primary.name, primary.type == "VARCHAR"
    last: str | int | None = None
    while True:
        asked = every(key, text=text) if last is None else within(key, last, None)
        columns = [key, field] if field else [key]
        batch = milvus.columnar.page(
            info.name, info.schema, columns, asked, partition=partition, limit=_PAGE
        )
        if not batch.num_rows:
            return
        last = batch.column(key)[batch.num_rows - 1].as_py()
        yield batch


@contextmanager
def written(
    milvus: Milvus, info: CollectionInfo, field: str, tenants: Sequence[str]
) -> Iterator[dict[str, list[str | int]]]:
    """A row for each of these tenants while the block runs; tenant -> keys.

    Raises:
        MilvusError: the rows could not be written, or are still there after they were deleted.
    """
    primary = info.schema.primary
    if not tenants:
        yield {}
        return
    keys = {tenant: f"{CANARY}{uuid.uuid4().hex}" for tenant in tenants}
    longest = max(map(len, keys.values()))
    if primary.type != "VARCHAR" or primary.auto_id or (primary.max_length or longest) < longest:
        raise MilvusError(
            f"a canary needs a key of {longest} characters, and `{primary.name}` takes none",
            hint="leave `isolation.write` out",
            subject=info.name,
        )
    rows = [
        {f.name: _filler(f) for f in info.schema.fields if not f.auto_id}
        | {primary.name: key, field: tenant}
        for tenant, key in keys.items()
    ]
    try:
        milvus.upsert(info.name, rows)
        yield {tenant: [key] for tenant, key in keys.items()}
    finally:
        milvus.delete(info.name, list(keys.values()))
    left = milvus.count(info.name, filter=among(primary.name, list(keys.values())))
    if left:
        raise MilvusError(
            f"{left} canary rows are still there after they were deleted",
            hint=f"delete the rows whose `{primary.name}` begins with {CANARY}",
            subject=info.name,
        )


def _filler(field: Field) -> Any:
    """A value that a field takes."""
    if field.type in ("VARCHAR", "STRING"):
        return ""
    if field.type.startswith("INT") and not field.is_vector:
        return 0
    if not field.is_vector:
        return _ZERO[field.type]
    size = field.dim or 1
    if field.type == "FLOAT_VECTOR":
        return [1.0] * size
    if field.type == "BINARY_VECTOR":
        return b"\xff" * (size // 8)
    if field.type == "SPARSE_FLOAT_VECTOR":
        return {0: 1.0}
    return _HALF[field.type] * size if field.type in _HALF else b"\x01" * size
