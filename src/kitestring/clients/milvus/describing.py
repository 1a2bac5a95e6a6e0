"""What is on a server: collections, their segments, indexes, aliases and placement."""

from __future__ import annotations

from pymilvus.grpc_gen import milvus_pb2

from kitestring.clients.milvus.failures import translated, unknown_call
from kitestring.clients.milvus.groups import Groups
from kitestring.clients.milvus.session import Session
from kitestring.clients.milvus.values import index_state_of, schema_of, text_of
from kitestring.errors import CollectionNotFound, MilvusError
from kitestring.model.collection import (
    DEFAULT_GROUP,
    CollectionInfo,
    LoadedSegment,
    Partition,
    Segment,
)


class Describing(Session):
    """The part of `Milvus` that tells what is."""

    @property
    def groups(self) -> Groups:
        """Resource groups: query nodes set apart."""
        return Groups(self._call, self.database)

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

    def alias_owner(self, alias: str) -> str | None:
        if not self.has_collection(alias):
            return None
        with translated(self.uri):
            owner = self._client.describe_collection(alias, timeout=self._timeout)
        name = str(owner["collection_name"])
        return None if name == alias else name

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
            if unknown_call(error):
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
