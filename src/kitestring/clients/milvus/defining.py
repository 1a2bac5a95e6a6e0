"""What makes, changes and drops collections, indexes and aliases, and loads and releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pymilvus import DataType, MilvusClient

from kitestring.clients.milvus.failures import translated
from kitestring.clients.milvus.session import Session
from kitestring.clients.milvus.values import field_options
from kitestring.model.collection import DEFAULT_GROUP, Index, Partition, Schema


class Defining(Session):
    """The part of `Milvus` that changes definitions."""

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


def _placed(groups: Sequence[str]) -> dict[str, list[str]]:
    """The argument that loads replicas into resource groups: one for all of them, or one each."""
    if set(groups) <= {DEFAULT_GROUP}:
        return {}
    return {"resource_groups": list(groups) if len(set(groups)) > 1 else [groups[0]]}
