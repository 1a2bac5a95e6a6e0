"""Rows: written, deleted, counted, read in the order of their keys, and searched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from kitestring.clients.milvus.columnar import smallest_keys
from kitestring.clients.milvus.failures import translated
from kitestring.clients.milvus.filters import LARGEST, among, every, within
from kitestring.clients.milvus.protocol import Hit
from kitestring.clients.milvus.session import Session
from kitestring.clients.milvus.values import key_of, schema_of
from kitestring.clients.milvus.wire import record_batch
from kitestring.errors import RowsHidden


class Rows(Session):
    """The part of `Milvus` that reads and writes rows."""

    def count(
        self, name: str, *, filter: str = "", partitions: Sequence[str] = (), strong: bool = True
    ) -> int:
        answer = self._query(name, filter, ["count(*)"], None, partitions=partitions, strong=strong)
        return int(answer.fields_data[0].scalars.long_data.data[0])

    def upsert(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            with translated(self.uri):
                self._client.upsert(name, list(rows), timeout=self._timeout * 6)

    def insert(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            with translated(self.uri):
                self._client.insert(name, list(rows), timeout=self._timeout * 6)

    def delete(self, name: str, keys: Sequence[str | int]) -> None:
        if not keys:
            return
        with translated(self.uri):
            raw = self._client.describe_collection(name, timeout=self._timeout)
            # given the keys as `ids`, pymilvus writes them without escapes
            self._client.delete(
                name,
                filter=among(schema_of(raw).primary.name, keys),
                timeout=self._timeout * 6,
            )

    def scan(
        self,
        name: str,
        columns: Sequence[str],
        *,
        filter: str = "",
        partitions: Sequence[str] = (),
        batch_rows: int = 8192,
        strong: bool = True,
    ) -> Iterator[pa.RecordBatch]:
        with translated(self.uri):
            raw = self._client.describe_collection(name, timeout=self._timeout)
        schema = schema_of(raw)
        key = schema.primary.name
        wanted = list(columns)
        asked = wanted if key in wanted else [key, *wanted]
        last: str | int | None = None
        while True:
            parts = [part for part in (filter, within(key, last, None)) if part]
            expression = " and ".join(f"({part})" for part in parts)
            expression = expression or every(key, text=schema.primary.type == "VARCHAR")
            answer = self._query(
                name, expression, asked, batch_rows, partitions=partitions, strong=strong
            )
            batch = record_batch(answer.fields_data, schema, asked) if answer.fields_data else None
            if batch is None or batch.num_rows == 0:
                break
            last = batch.column(key)[batch.num_rows - 1].as_py()
            # a batch that is not full is not the last one: duplicate keys are removed from it
            yield batch if asked == wanted else batch.select(wanted)
        if schema.primary.type == "INT64" and last != LARGEST:
            self.check_all_given(name, key, filter=filter, partitions=partitions)

    def check_all_given(
        self, name: str, key: str, *, filter: str = "", partitions: Sequence[str] = ()
    ) -> None:
        largest = among(key, [LARGEST])
        both = f"({filter}) and {largest}" if filter else largest
        if hidden := self.count(name, filter=both, partitions=partitions):
            raise RowsHidden(
                f"`{name}` has {hidden} row{'' if hidden == 1 else 's'} of the key {LARGEST}, "
                "which the server counts and never gives: its rows can't all be read over the API",
                hint="read the segment files (`kitestring backup create` does, with `--via "
                f"segments`), give the row another key, or leave it out: `{key} < {LARGEST}`",
                subject=f"{name}/{LARGEST}",
            )

    def get(
        self, name: str, keys: Sequence[str | int], columns: Sequence[str]
    ) -> list[dict[str, Any]]:
        if not keys:
            return []
        with translated(self.uri):
            schema = schema_of(self._client.describe_collection(name, timeout=self._timeout))
        answer = self._query(name, among(schema.primary.name, keys), list(columns), None)
        if not answer.fields_data:
            return []
        rows: list[dict[str, Any]] = record_batch(
            answer.fields_data, schema, list(columns)
        ).to_pylist()
        return rows

    def search(
        self,
        name: str,
        vectors: Sequence[Any],
        *,
        limit: int,
        field: str,
        params: Mapping[str, Any] | None = None,
        columns: Sequence[str] = (),
        filter: str = "",
        strong: bool = True,
    ) -> list[list[Hit]]:
        with translated(self.uri):
            answers = self._client.search(
                name,
                # a sparse vector is a mapping, one of anything but float32 is bytes
                data=[v if isinstance(v, bytes | str | Mapping) else list(v) for v in vectors],
                anns_field=field,
                limit=limit,
                filter=filter,
                search_params={"params": dict(params or {})},
                output_fields=list(columns),
                consistency_level="Strong" if strong else "Eventually",
                timeout=self._timeout * 3,
            )
        return [
            [Hit(key_of(hit), float(hit["distance"]), dict(hit.get("entity", {}))) for hit in hits]
            for hits in answers
        ]

    def _query(
        self,
        name: str,
        expression: str,
        columns: Sequence[str],
        limit: int | None,
        *,
        partitions: Sequence[str] = (),
        strong: bool = True,
    ) -> milvus_pb2.QueryResults:
        request = milvus_pb2.QueryRequest(
            db_name=self.database,
            collection_name=name,
            expr=expression,
            output_fields=columns,
            partition_names=partitions,
            query_params=smallest_keys(limit),
            consistency_level=common_pb2.ConsistencyLevel.Strong
            if strong
            else common_pb2.ConsistencyLevel.Eventually,
        )
        return self._call("Query", request, timeout=self._timeout * 6)
