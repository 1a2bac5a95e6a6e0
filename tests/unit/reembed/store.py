"""A Milvus in memory that keeps rows and searches them, and can be killed before any step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from kitestring.backup.logical.where import parse
from kitestring.clients.milvus.memory import MemoryCluster, MemoryMilvus
from kitestring.clients.milvus.protocol import Hit
from kitestring.model.arrow import arrow_schema
from kitestring.model.collection import CollectionInfo, LoadedSegment, Schema, Segment
from kitestring.model.digest import DYNAMIC_FIELD

Rows = dict[Any, dict[str, Any]]


class Killed(BaseException):
    """The process is no more."""


class Steps:
    """Counts steps, and kills before one of them."""

    def __init__(self) -> None:
        self.taken = 0
        self.kill_before: int | None = None

    def __call__(self) -> None:
        if self.taken == self.kill_before:
            raise Killed
        self.taken += 1


class RowsMilvus(MemoryMilvus):
    """The part of `Milvus` that ingestion and re-embedding need."""

    def __init__(self) -> None:
        super().__init__(MemoryCluster(), "default")
        self.stored: dict[str, Rows] = {}
        self.partition: dict[tuple[str, Any], str] = {}
        self.steps = Steps()
        self.on_page: Callable[[], None] = lambda: None

    @property
    def columnar(self) -> RowsMilvus:
        return self

    def _did(self, *what: str) -> None:
        self.steps()
        super()._did(*what)

    def rows(self, name: str) -> Rows:
        return self.stored.setdefault(self._info(name).name, {})

    def count(self, name: str, *, filter: str = "", strong: bool = True) -> int:
        return len(self.rows(name))

    def segments(self, name: str) -> list[Segment]:
        return []

    def loaded_segments(self, name: str) -> list[LoadedSegment]:
        return []

    def describe(self, name: str) -> CollectionInfo:
        info, rows = super().describe(name), self.count(name)
        built = (replace(i, total_rows=rows, indexed_rows=rows) for i in info.indexes)
        return replace(info, indexes=tuple(built))

    def drop_collection(self, name: str) -> None:
        super().drop_collection(name)
        self.stored.pop(name, None)

    # --- writing

    def upsert(self, name: str, *given: Any, partition: str = "") -> None:
        """Rows as mappings, or a schema and a batch."""
        self._did("upsert", name)
        schema = self._info(name).schema
        for row in given[0] if len(given) == 1 else given[1].to_pylist():
            known = {f.name: row[f.name] for f in schema.fields}
            more = {k: v for k, v in row.items() if k not in known and k != DYNAMIC_FIELD}
            meta = row.get(DYNAMIC_FIELD) or (json.dumps(more).encode() if more else b"{}")
            key = row[schema.primary.name]
            known = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in known.items()}
            self.rows(name)[key] = {**known, DYNAMIC_FIELD: meta}
            self.partition[self._info(name).name, key] = partition or "_default"

    def delete(self, name: str, keys: Sequence[Any]) -> None:
        self._did("delete", name)
        for key in keys:
            self.rows(name).pop(key, None)

    # --- reading

    def page(
        self,
        name: str,
        schema: Schema,
        columns: Sequence[str],
        expression: str,
        *,
        partition: str = "",
        limit: int | None = None,
        since: int | None = None,
    ) -> pa.RecordBatch:
        self.on_page()
        chosen = parse(expression, schema)
        own = self._info(name).name
        rows = [
            row
            for key, row in sorted(self.rows(name).items())
            if not partition or self.partition[own, key] == partition
        ]
        full = pa.RecordBatch.from_pylist(rows, schema=arrow_schema(schema))
        found = full.filter(chosen.mask(full)).slice(0, limit)
        return found.select(arrow_schema(schema, columns).names)

    def scan(
        self, name: str, columns: Sequence[str], *, filter: str = "", batch_rows: int = 8192
    ) -> Iterator[pa.RecordBatch]:
        schema = self._info(name).schema
        key = schema.primary.name
        every = f'{key} >= ""' if schema.primary.type == "VARCHAR" else f"{key} < 0 or {key} >= 0"
        batch = self.page(name, schema, columns, filter or every)
        if batch.num_rows:
            yield batch.select(list(columns))

    def get(self, name: str, keys: Sequence[Any], columns: Sequence[str]) -> list[dict[str, Any]]:
        rows = self.rows(name)
        return [{c: rows[k][c] for c in columns} for k in keys if k in rows]

    def search(
        self,
        name: str,
        vectors: Sequence[Sequence[float]],
        *,
        limit: int,
        field: str,
        params: Mapping[str, Any] | None = None,
        columns: Sequence[str] = (),
        filter: str = "",
        strong: bool = True,
    ) -> list[list[Hit]]:
        rows = self.rows(name)
        keys = list(rows)
        matrix = np.array([rows[k][field] for k in keys], np.float64)
        found = []
        for vector in np.asarray(vectors, np.float64):
            lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector)
            scores = matrix @ vector / lengths
            best = np.argsort(-scores)[:limit]
            found.append(
                [
                    Hit(keys[i], float(scores[i]), {c: rows[keys[i]][c] for c in columns})
                    for i in best
                ]
            )
        return found
