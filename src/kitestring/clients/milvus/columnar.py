"""Rows by column, out of a server and into it, over the raw calls of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from kitestring.clients.milvus.encode import fields_data
from kitestring.clients.milvus.wire import record_batch
from kitestring.model.arrow import arrow_schema
from kitestring.model.collection import Schema


class Call(Protocol):
    """One raw call; raises a MilvusError."""

    def __call__(self, method: str, request: Any, *, timeout: float | None = None) -> Any: ...


def smallest_keys(limit: int | None) -> list[common_pb2.KeyValuePair]:
    """The parameters of a query for the `limit` rows with the smallest keys; None for all."""
    params = {} if limit is None else {
        "limit": str(limit),
        # without it, 2.3 may stop reducing before the smallest keys of all segments are in
        "reduce_stop_for_best": "false",
        "iterator": "True",
    }  # fmt: skip
    return [common_pb2.KeyValuePair(key=k, value=v) for k, v in params.items()]


class Columnar:
    """What `MilvusColumnar` promises. Several threads may use one."""

    def __init__(self, call: Call, database: str, timeout: float) -> None:
        self._call, self._database, self._timeout = call, database, timeout

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
        strong = common_pb2.ConsistencyLevel.Strong
        request = milvus_pb2.QueryRequest(
            db_name=self._database,
            collection_name=name,
            expr=expression,
            output_fields=columns,
            partition_names=[partition] if partition else [],
            query_params=smallest_keys(limit),
            consistency_level=strong if since is None else common_pb2.ConsistencyLevel.Customized,
            # to the end of that millisecond
            guarantee_timestamp=0 if since is None else (since + 1) << 18,
        )
        answer = self._call("Query", request, timeout=self._timeout * 12)
        if not answer.fields_data:
            return pa.RecordBatch.from_pylist([], schema=arrow_schema(schema, columns))
        return record_batch(answer.fields_data, schema, columns)

    def insert(
        self, name: str, schema: Schema, batch: pa.RecordBatch, *, partition: str = ""
    ) -> int:
        request = self._rows(milvus_pb2.InsertRequest, name, schema, batch, partition)
        return int(self._call("Insert", request, timeout=self._timeout * 12).insert_cnt)

    def upsert(
        self, name: str, schema: Schema, batch: pa.RecordBatch, *, partition: str = ""
    ) -> None:
        request = self._rows(milvus_pb2.UpsertRequest, name, schema, batch, partition)
        self._call("Upsert", request, timeout=self._timeout * 12)

    def _rows(
        self, kind: Any, name: str, schema: Schema, batch: pa.RecordBatch, partition: str
    ) -> Any:
        return kind(
            db_name=self._database,
            collection_name=name,
            partition_name=partition,
            fields_data=fields_data(batch, schema),
            num_rows=batch.num_rows,
        )
