"""The Milvus schema that a collection's spec asks for."""

from __future__ import annotations

from kitestring.model.collection import Field, Index, Schema, params_as_text
from kitestring.spec.models import CollectionSpec, IndexSpec, Spec


def collection_schema(spec: Spec, collection: CollectionSpec) -> Schema:
    """The schema wanted: `columns` as they stand, or else the row contract's.

    Raises:
        ValueError: the row contract is wanted, and `model` (which gives the dimension) is not
            among the spec's models. Loading a spec rules this out.
    """
    if collection.columns is not None:
        fields = tuple(Field(**column.model_dump()) for column in collection.columns)
        return Schema(fields, collection.dynamic, collection.description)
    model = spec.model_named(collection.model)
    if model is None:
        raise ValueError(f"collection `{collection.name}` has no known model")
    names = collection.fields
    wanted = [
        Field(names.id, "VARCHAR", primary=True, max_length=64),
        Field(names.vector, "FLOAT_VECTOR", dim=model.dimension),
    ]
    by_tenant = collection.tenancy == "partition-key"
    for name, kind, length in (
        (names.tenant_id, "VARCHAR", 256),
        (names.doc_id, "VARCHAR", 1024),
        (names.chunk_index, "INT64", None),
        (names.text, "VARCHAR", collection.text_max_length),
        (names.content_hash, "VARCHAR", 64),
        (names.embedding_model, "VARCHAR", 256),
        (names.chunker, "VARCHAR", 128),
        (names.last_embedded_at, "INT64", None),
    ):
        if name is not None:
            wanted.append(
                Field(
                    name,
                    kind,
                    max_length=length,
                    partition_key=by_tenant and name == names.tenant_id,
                )
            )
    return Schema(tuple(wanted), collection.dynamic, collection.description)


def wanted_index(index: IndexSpec) -> Index:
    """The index that a spec asks for, as a value to compare with the server's."""
    return Index(
        index.index_name, index.field, index.type, index.metric or "", params_as_text(index.params)
    )
