"""The Milvus connection over pymilvus's `MilvusClient` and its generated gRPC stubs.

pymilvus marks its ORM for removal; `MilvusClient` and the stubs stay. The stubs serve what the
client does not have (bulk import, replicas) and what it is slow at (columns without row dicts).
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import grpc
import pyarrow as pa
from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

from kitestring.clients.milvus.administration import Administration
from kitestring.clients.milvus.columnar import Columnar
from kitestring.clients.milvus.failures import translated
from kitestring.clients.milvus.filters import LARGEST, among, every, within
from kitestring.clients.milvus.groups import Groups
from kitestring.clients.milvus.protocol import Flushed, Hit, ImportState
from kitestring.clients.milvus.values import (
    field_options,
    index_state_of,
    key_of,
    schema_of,
    text_of,
)
from kitestring.clients.milvus.waiting import wait_until as wait_until
from kitestring.clients.milvus.wire import record_batch
from kitestring.errors import CollectionNotFound, MilvusError, RowsHidden
from kitestring.model.collection import (
    DEFAULT_GROUP,
    CollectionInfo,
    Index,
    LoadedSegment,
    Partition,
    Schema,
    Segment,
)

_IMPORT_DONE, _IMPORT_FAILED = 6, 1  # common ImportState: ImportCompleted, ImportFailed
_COMPACTION_DONE = "Completed"
_MAX_MESSAGE = 512 * 1024 * 1024  # bytes; pymilvus's own limit is unlimited on receive

_PRECISE = 100  # ms


class MilvusServer:
    """One connection; use it as a context manager, or `close` it.

    Args:
        uri: `http://host:port` or `https://…`.
        token: `user:password` or an API key; empty for none.
        database: the database that every call works in.
        timeout: deadline of one request, in seconds.
        ca_file: certificate authority in PEM for `https`.

    Raises:
        ServerUnreachable, AuthenticationFailed: at once, not at the first call.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        database: str = "default",
        timeout: float = 10.0,
        ca_file: str = "",
        server_name: str = "",
    ) -> None:
        self.uri = uri
        self.database = database
        self._timeout = timeout
        # pymilvus logs what it also raises
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        options: dict[str, Any] = {}
        if ca_file:
            options["server_pem_path"] = ca_file
        if server_name:
            options["server_name"] = server_name
        with translated(uri):
            self._client = MilvusClient(
                uri=uri, token=token, db_name=database, timeout=timeout, **options
            )
        self._channel = _channel(uri, ca_file, server_name)
        self._stub = milvus_pb2_grpc.MilvusServiceStub(self._channel)
        self._metadata = [("dbname", database)]
        if token:
            encoded = base64.b64encode(token.encode()).decode()
            self._metadata.append(("authorization", encoded))

    def __enter__(self) -> MilvusServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()
        self._client.close()

    @property
    def admin(self) -> Administration:
        """Databases, partitions, users, roles and privileges."""
        return Administration(self._client, self.uri, self.database, self._timeout)

    @property
    def groups(self) -> Groups:
        """Resource groups: query nodes set apart."""
        return Groups(self._call, self.database)

    @property
    def columnar(self) -> Columnar:
        """Rows by column, many at a time."""
        return Columnar(self._call, self.database, self._timeout)

    def version(self) -> str:
        with translated(self.uri):
            return str(self._client.get_server_version(timeout=self._timeout))

    # --- what is

    def list_collections(self) -> list[str]:
        with translated(self.uri):
            return sorted(self._client.list_collections(timeout=self._timeout))

    def has_collection(self, name: str) -> bool:
        with translated(self.uri):
            return bool(self._client.has_collection(name, timeout=self._timeout))

    def describe(self, name: str) -> CollectionInfo:
        if not self.has_collection(name):
            raise CollectionNotFound(
                f"the server has no collection `{name}`",
                hint="`kitestring status` lists the collections of the server",
                subject=name,
            )
        with translated(self.uri):
            client = self._client
            raw = client.describe_collection(name, timeout=self._timeout)
            physical = raw["collection_name"]
            load = client.get_load_state(physical, timeout=self._timeout)["state"].name
            placed = self._placement(raw["collection_id"], physical) if load == "Loaded" else ()
            return CollectionInfo(
                name=physical,
                id=int(raw["collection_id"]),
                schema=schema_of(raw),
                shards=int(raw["num_shards"]),
                partitions=self._partitions(physical),
                consistency=str(raw.get("consistency_level_name", "")),
                properties={k: str(v) for k, v in (raw.get("properties") or {}).items()},
                # this call alone does not know the connection's database
                aliases=tuple(
                    sorted(client.list_aliases(physical, db_name=self.database)["aliases"])
                ),
                indexes=tuple(
                    index_state_of(client.describe_index(physical, n, timeout=self._timeout))
                    for n in sorted(client.list_indexes(physical, timeout=self._timeout))
                ),
                load_state=load,
                replicas=len(placed),
                resource_groups=placed,
                # a hybrid timestamp: 46 bits of ms, 18 bits of counter
                created_at=int(raw.get("created_timestamp", 0)) >> 18,
            )

    def _partitions(self, name: str) -> tuple[Partition, ...]:
        answer = self._call(
            "ShowPartitions",
            milvus_pb2.ShowPartitionsRequest(db_name=self.database, collection_name=name),
        )
        names = list(answer.partition_names)
        # milvus-lite has no ids
        pairs = zip(names, list(answer.partitionIDs) or range(len(names)), strict=True)
        return tuple(sorted((Partition(n, int(i)) for n, i in pairs), key=lambda p: p.name))

    def _placement(self, collection: int, name: str) -> tuple[str, ...]:
        """The resource group of each replica of a loaded collection."""
        try:
            answer = self._call(
                "GetReplicas",
                milvus_pb2.GetReplicasRequest(collectionID=collection, db_name=self.database),
            )
        except MilvusError as error:
            cause = error.__cause__
            if isinstance(cause, grpc.RpcError) and cause.code() is grpc.StatusCode.UNIMPLEMENTED:
                return (DEFAULT_GROUP,)  # milvus-lite: a server of one process
            if "no available nodes in replica" not in error.message:
                raise
            try:  # query nodes are missing: that is when somebody wants to look
                names = [group.name for group in self.groups.all()]
                return tuple(
                    n for n in names for _ in range(self.groups.collections(n).get(name, 0))
                )
            except MilvusError:  # a user who may not see resource groups
                raise error from None
        return tuple(sorted(r.resource_group_name or DEFAULT_GROUP for r in answer.replicas))

    def segments(self, name: str) -> list[Segment]:
        with translated(self.uri):
            found = self._client.list_persistent_segments(name, timeout=self._timeout)
        return sorted(
            (
                Segment(
                    id=int(s.segment_id),
                    partition_id=int(s.partition_id),
                    rows=int(s.num_rows),
                    state=text_of(s.state),
                    level=text_of(s.level),
                    storage_version=int(s.storage_version),
                )
                for s in found
            ),
            key=lambda s: s.id,
        )

    def loaded_segments(self, name: str) -> list[LoadedSegment]:
        with translated(self.uri):
            found = self._client.list_loaded_segments(name, timeout=self._timeout)
        return sorted(
            (
                LoadedSegment(
                    id=int(s.segment_id),
                    rows=int(s.num_rows),
                    state=text_of(s.state),
                    index_name=str(s.index_name),
                    index_id=int(s.index_id),
                    node_ids=tuple(int(n) for n in s.node_ids),
                )
                for s in found
            ),
            key=lambda s: s.id,
        )

    def count(
        self, name: str, *, filter: str = "", partitions: Sequence[str] = (), strong: bool = True
    ) -> int:
        answer = self._query(name, filter, ["count(*)"], None, partitions=partitions, strong=strong)
        return int(answer.fields_data[0].scalars.long_data.data[0])

    # --- definitions

    def create_collection(
        self,
        name: str,
        schema: Schema,
        *,
        shards: int = 1,
        properties: Mapping[str, str] | None = None,
        partitions: Sequence[Partition | str] = (),
        key_partitions: int | None = None,
        consistency: str = "Bounded",
    ) -> None:
        built = MilvusClient.create_schema(
            auto_id=False,
            enable_dynamic_field=schema.dynamic,
            description=schema.description,
        )
        for field in schema.fields:
            built.add_field(field.name, DataType[field.type], **field_options(field))
        with translated(self.uri):
            self._client.create_collection(
                name,
                schema=built,
                shards_num=shards,
                consistency_level=consistency,
                properties=dict(properties) if properties else None,
                timeout=self._timeout,
                **({"num_partitions": key_partitions} if key_partitions else {}),
            )
            for partition in partitions:
                wanted = partition if isinstance(partition, str) else partition.name
                if not self._client.has_partition(name, wanted):
                    self._client.create_partition(name, wanted, timeout=self._timeout)

    def drop_collection(self, name: str) -> None:
        with translated(self.uri):
            self._client.drop_collection(name, timeout=self._timeout)

    def rename_collection(self, name: str, new: str) -> None:
        with translated(self.uri):
            self._client.rename_collection(name, new, timeout=self._timeout)

    def create_index(self, name: str, index: Index, *, wait: bool = False) -> None:
        params = MilvusClient.prepare_index_params()
        params.add_index(
            index.field,
            index_type=index.type,
            index_name=index.name,
            **({"metric_type": index.metric} if index.metric else {}),
            params=dict(index.params),
        )
        with translated(self.uri):
            self._client.create_index(name, params, sync=wait)

    def drop_index(self, name: str, index_name: str) -> None:
        with translated(self.uri):
            self._client.drop_index(name, index_name, timeout=self._timeout)

    def load(
        self, name: str, *, replicas: int = 1, groups: Sequence[str] = (), wait: bool = True
    ) -> None:
        with translated(self.uri):
            self._client.load_collection(
                name, replica_number=replicas, _async=not wait, **_placed(groups)
            )

    def release(self, name: str) -> None:
        with translated(self.uri):
            self._client.release_collection(name, timeout=self._timeout)

    def create_alias(self, name: str, alias: str) -> None:
        with translated(self.uri):
            self._client.create_alias(name, alias, timeout=self._timeout)

    def move_alias(self, name: str, alias: str) -> None:
        with translated(self.uri):
            self._client.alter_alias(name, alias, timeout=self._timeout)

    def drop_alias(self, alias: str) -> None:
        with translated(self.uri):
            self._client.drop_alias(alias, timeout=self._timeout)

    def alias_owner(self, alias: str) -> str | None:
        if not self.has_collection(alias):
            return None
        with translated(self.uri):
            owner = self._client.describe_collection(alias, timeout=self._timeout)
        name = str(owner["collection_name"])
        return None if name == alias else name

    # --- rows

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

    def flush(self, name: str) -> None:
        with translated(self.uri):
            self._client.flush(name)

    def flush_through(self, names: Sequence[str]) -> Flushed:
        answer = self._call(
            "Flush",
            milvus_pb2.FlushRequest(db_name=self.database, collection_names=list(names)),
            timeout=self._timeout * 6,
        )
        physical, segments = [], {}
        for name in names:
            flushed = int(answer.coll_flush_ts.get(name, 0))
            if not flushed:
                raise MilvusError(
                    f"the server does not say up to when it has flushed `{name}`",
                    hint="servers from 2.3 on do",
                    subject=name,
                )
            request = milvus_pb2.GetFlushStateRequest(
                db_name=self.database,
                collection_name=name,
                segmentIDs=list(answer.coll_segIDs[name].data),
                flush_ts=flushed,
            )
            wait_until(
                partial(self._flushed, request),
                timeout=max(self._timeout * 30, 300.0),
                what=f"the flush of `{name}`",
            )
            physical.append(flushed >> 18)
            ids = {*answer.coll_segIDs[name].data, *answer.flush_coll_segIDs[name].data}
            segments[name] = tuple(sorted(int(i) for i in ids))
        return Flushed(min(physical), segments)

    def flushed_until(self, name: str, now: int) -> int | None:
        # from 2.3 on this asks how far each channel's checkpoint has come, and does nothing
        def flushed(until: int) -> bool:
            request = milvus_pb2.GetFlushStateRequest(
                db_name=self.database, collection_name=name, flush_ts=until << 18
            )
            return self._flushed(request)

        if flushed(now):
            return now
        low, high = max(0, self.describe(name).created_at - 1), now
        if not flushed(low):
            return None
        while high - low > _PRECISE:
            middle = (low + high) // 2
            low, high = (middle, high) if flushed(middle) else (low, middle)
        return low

    def _flushed(self, request: Any) -> bool:
        return bool(self._call("GetFlushState", request).flushed)

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
                f"`{name}` has {hidden} row of the key {LARGEST}, which the server counts and "
                "never gives: its rows can't all be read over the API",
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
                data=[v if isinstance(v, bytes | Mapping) else list(v) for v in vectors],
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

    # --- maintenance

    def compact(self, name: str) -> int:
        with translated(self.uri):
            return int(self._client.compact(name, timeout=self._timeout))

    def compaction_done(self, compaction: int) -> bool:
        with translated(self.uri):
            state = self._client.get_compaction_state(compaction, timeout=self._timeout)
        return str(state) == _COMPACTION_DONE

    def start_import(
        self, name: str, partition: str, paths: Sequence[str], *, until: int | None = None
    ) -> int:
        options = {"backup": "true"}
        if until is not None:
            # 2.3 takes milliseconds and composes the timestamp itself (seen on 2.3.5)
            old = self.version().removeprefix("v").startswith(("2.2.", "2.3."))
            options["end_ts"] = str(until if old else until << 18)
        answer = self._call(
            "Import",
            milvus_pb2.ImportRequest(
                db_name=self.database,
                collection_name=name,
                partition_name=partition,
                files=list(paths),
                options=[common_pb2.KeyValuePair(key=k, value=v) for k, v in options.items()],
            ),
        )
        if len(answer.tasks) != 1:
            raise MilvusError(f"the import of `{name}` was answered with no task", subject=name)
        return int(answer.tasks[0])

    def import_state(self, task: int) -> ImportState:
        answer = self._call("GetImportState", milvus_pb2.GetImportStateRequest(task=task))
        infos = {pair.key: pair.value for pair in answer.infos}
        return ImportState(
            done=answer.state == _IMPORT_DONE,
            failed=answer.state == _IMPORT_FAILED,
            rows=int(answer.row_count),
            reason=infos.get("failed_reason", ""),
        )

    # --- the wire

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
        params = []
        if limit is not None:
            params = [
                common_pb2.KeyValuePair(key="limit", value=str(limit)),
                # without it, 2.3 may stop reducing before the smallest keys of all segments are in
                common_pb2.KeyValuePair(key="reduce_stop_for_best", value="false"),
                common_pb2.KeyValuePair(key="iterator", value="True"),
            ]
        request = milvus_pb2.QueryRequest(
            db_name=self.database,
            collection_name=name,
            expr=expression,
            output_fields=columns,
            partition_names=partitions,
            query_params=params,
            consistency_level=common_pb2.ConsistencyLevel.Strong
            if strong
            else common_pb2.ConsistencyLevel.Eventually,
        )
        return self._call("Query", request, timeout=self._timeout * 6)

    def _call(self, method: str, request: Any, *, timeout: float | None = None) -> Any:
        """One raw call; raises a MilvusError for a status that is not success."""
        with translated(self.uri):
            answer = getattr(self._stub, method)(
                request, timeout=timeout or self._timeout, metadata=self._metadata
            )
        status = getattr(answer, "status", answer)  # some calls answer with nothing else
        if status.code or status.error_code:
            from pymilvus.exceptions import MilvusException

            with translated(self.uri):
                raise MilvusException(status.code or status.error_code, status.reason)
        return answer


def _placed(groups: Sequence[str]) -> dict[str, list[str]]:
    """The argument that loads replicas into resource groups: one for all of them, or one each."""
    if set(groups) <= {DEFAULT_GROUP}:
        return {}
    return {"resource_groups": list(groups) if len(set(groups)) > 1 else [groups[0]]}


def _channel(uri: str, ca_file: str, server_name: str) -> grpc.Channel:
    address = uri.split("://", 1)[-1].rstrip("/")
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", _MAX_MESSAGE),
        ("grpc.max_receive_message_length", _MAX_MESSAGE),
    ]
    if not uri.startswith("https://"):
        return grpc.insecure_channel(address, options)
    if server_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    root = None
    if ca_file:
        with open(ca_file, "rb") as file:  # noqa: PTH123 - read once at connection
            root = file.read()
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(root), options)
