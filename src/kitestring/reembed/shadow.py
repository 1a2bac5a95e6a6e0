"""The shadow collection: made like its source, with the new model's dimension."""

from __future__ import annotations

from kitestring.backup.restore.serving import await_indexes, await_taken_up
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import ReembedRefused
from kitestring.model.backup import CollectionBackup, RowDigest
from kitestring.model.collection import CollectionInfo, Schema
from kitestring.model.digest import DYNAMIC_FIELD
from kitestring.model.reembed import Operation
from kitestring.reembed.refuse import Change, shadow_schema
from kitestring.spec.schema import wanted_index


def ensure_shadow(milvus: Milvus, change: Change, operation: Operation) -> CollectionInfo:
    """Makes what is absent of the shadow collection: itself, its indexes; loads it.

    Raises:
        ReembedRefused: what is there under its name is not what this operation made.
    """
    name, wanted = operation.shadow, change.wanted
    source = milvus.describe(operation.source)
    schema = shadow_schema(source.schema, wanted.fields.vector, change.model_to.dimension)
    made = not milvus.has_collection(name)
    if made:
        by_key = any(f.partition_key for f in schema.fields)
        milvus.create_collection(
            name,
            _without_dynamic(schema),
            shards=source.shards,
            properties=source.properties,
            partitions=() if by_key else [p for p in source.partitions if p.name != "_default"],
            key_partitions=len(source.partitions) if by_key else None,
            consistency=source.consistency,
        )
    info = milvus.describe(name)
    if not made:
        _refuse_other(info, schema, operation)
    indexed = {state.index.field for state in info.indexes}
    for index in wanted.indexes:
        if index.field not in indexed:
            milvus.create_index(name, wanted_index(index))
    if not info.loaded:
        milvus.load(name, replicas=wanted.load.replicas)
    return milvus.describe(name)


def await_index(milvus: Milvus, info: CollectionInfo) -> str:
    """Waits until a collection's rows are searched by its indexes; returns what is not so, in
    words. Until then query nodes answer by an interim index, of another recall.

    Raises:
        MilvusError: the server could not build one.
    """
    milvus.flush(info.name)
    rows = RowDigest(milvus.count(info.name), "", "")
    wanted = CollectionBackup.of(milvus.describe(info.name), (), rows, {}, ())
    await_indexes(milvus, wanted, info.name)
    return await_taken_up(milvus, wanted, info.name)


def is_ours(info: CollectionInfo, operation: Operation) -> bool:
    """Whether a collection of the shadow's name is the one that the operation made."""
    return operation.shadow_id is None or info.id == operation.shadow_id


def _refuse_other(info: CollectionInfo, schema: Schema, operation: Operation) -> None:
    here = [(f.name, f.type, f.dim) for f in _without_dynamic(info.schema).fields]
    wanted = [(f.name, f.type, f.dim) for f in _without_dynamic(schema).fields]
    if info.name == operation.shadow and is_ours(info, operation) and here == wanted:
        return
    raise ReembedRefused(
        f"`{operation.shadow}` on the server is not the collection that this re-embedding made",
        hint="somebody made another one under its name: rename or drop that one, then run it "
        "again; or `kitestring reembed rollback` to give up",
        subject=operation.shadow,
    )


def _without_dynamic(schema: Schema) -> Schema:
    fields = tuple(f for f in schema.fields if f.name != DYNAMIC_FIELD)
    return Schema(fields, schema.dynamic, schema.description)
