"""Makes sure that the collection is there and fits, before the first row is written."""

from __future__ import annotations

from dataclasses import dataclass

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import (
    CollectionNotFound,
    CollectionNotLoaded,
    CollectionUnfit,
    DimensionMismatch,
)
from kitestring.model.collection import CollectionInfo, Schema
from kitestring.spec.crosscheck_ingest import PARENT_FIELDS
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import ROLES, CollectionSpec
from kitestring.spec.schema import collection_schema, wanted_index

KEY_LENGTH = 32  # characters of a row's key


@dataclass(frozen=True, slots=True)
class Ensured:
    """The collection as it is now, and what had to be made."""

    info: CollectionInfo
    made: tuple[str, ...]
    notes: tuple[str, ...]


def ensure_collection(
    loaded: LoadedSpec, milvus: Milvus, wanted: CollectionSpec, *, create: bool = True
) -> Ensured:
    """Creates what is absent of a collection: itself, its indexes, its aliases; loads it.

    What is there and differs from the spec stays as it is: that is drift, and not for an
    ingestion to correct. A second call changes nothing.

    Raises:
        CollectionNotFound: it is not there and `create` is false.
        CollectionUnfit, DimensionMismatch: rows of the row contract do not fit into it.
        CollectionNotLoaded: the spec wants it unloaded, so deletes can't be verified.
    """
    name = wanted.name
    made: list[str] = []
    notes: list[str] = []
    if not milvus.has_collection(name):
        if not create:
            raise CollectionNotFound(
                f"the server has no collection `{name}`",
                hint="leave out `--no-create` to have it created as the spec says",
                subject=name,
            )
        milvus.create_collection(
            name,
            collection_schema(loaded.spec, wanted),
            shards=wanted.shards,
            properties=wanted.properties,
            partitions=wanted.partitions,
            consistency=wanted.consistency or "Bounded",
        )
        made.append(f"collection `{name}`")
    info = milvus.describe(name)
    if info.name != name:
        raise CollectionUnfit(
            f"on the server, `{name}` is an alias of `{info.name}`",
            hint="drop that alias, or give the collection of the spec another name",
            subject=name,
        )
    require_fit(loaded, wanted, info.schema)
    indexed = {state.index.field for state in info.indexes}
    for index in wanted.indexes:
        if index.field not in indexed:
            milvus.create_index(name, wanted_index(index))
            indexed.add(index.field)
            made.append(f"index on `{index.field}`")
    if not info.loaded:
        if not wanted.load.loaded:
            raise CollectionNotLoaded(
                f"`{name}` is not loaded, and the spec says it shall not be",
                hint="ingestion verifies what it deletes by query: load the collection, or say "
                "`loaded: true` in the spec",
                subject=name,
            )
        milvus.load(name, replicas=wanted.load.replicas, groups=wanted.load.resource_groups)
        made.append("load")
    for alias in wanted.aliases:
        owner = milvus.alias_owner(alias)
        if owner is None:
            milvus.create_alias(name, alias)
            made.append(f"alias `{alias}`")
        elif owner != name:
            notes.append(f"the alias `{alias}` points to `{owner}`; it was left there")
    return Ensured(milvus.describe(name) if made else info, tuple(made), tuple(notes))


def extra_fields(wanted: CollectionSpec) -> tuple[str, ...]:
    """The fields that rows may have beside those of the row contract."""
    names = wanted.metadata.names if wanted.metadata else ()
    if wanted.chunking and wanted.chunking.strategy == "parent-child":
        names += PARENT_FIELDS
    return names


def require_fit(loaded: LoadedSpec, wanted: CollectionSpec, schema: Schema) -> None:
    """Proves that rows of the row contract fit into the collection's schema.

    Raises:
        DimensionMismatch: the vectors of the spec's model have another dimension.
        CollectionUnfit: a field is missing, of another type or too short, or one that the row
            contract does not fill is there.
    """
    roles = {role: getattr(wanted.fields, role) for role in ROLES}

    def unfit(what: str, hint: str) -> CollectionUnfit:
        return CollectionUnfit(f"`{wanted.name}`: {what}", hint=hint, subject=wanted.name)

    for role, name in roles.items():
        if name is None:
            continue
        field = schema.field(name)
        if field is None:
            raise unfit(
                f"the collection has no field `{name}` (for the role `{role}`)",
                f"in the spec write `fields: {{{role}: none}}` or the name of the field there, "
                "or ingest into a new collection",
            )
        kind = {"vector": "FLOAT_VECTOR", "chunk_index": "INT64", "last_embedded_at": "INT64"}
        if field.type != kind.get(role, "VARCHAR"):
            raise unfit(
                f"the field `{name}` is {field.type}; ingestion writes {kind.get(role, 'VARCHAR')}",
                "ingest into a new collection",
            )
    key = schema.primary
    if key.name != roles["id"] or key.auto_id or (key.max_length or KEY_LENGTH) < KEY_LENGTH:
        raise unfit(
            f"its key `{key.name}` is not a VARCHAR of {KEY_LENGTH} or more that the client sets",
            "rows can only be written twice without harm under keys of their own: "
            "ingest into a new collection",
        )
    extra = extra_fields(wanted)
    missing = [name for name in extra if schema.field(name) is None]
    if missing and not schema.dynamic:
        raise unfit(
            f"the collection has no field `{missing[0]}`, and takes no dynamic ones",
            "ingest into a new collection, or leave that field out of the spec",
        )
    filled = {*roles.values(), *extra}
    unfilled = [f.name for f in schema.fields if f.name not in filled and not f.nullable]
    if unfilled:
        raise unfit(
            f"nothing would fill its field `{unfilled[0]}`",
            "ingestion writes the fields of the row contract and those of `metadata`: name it "
            "there, or ingest into a new collection",
        )
    model = loaded.spec.model_named(wanted.model)
    vector = schema.field(str(roles["vector"]))
    if model is not None and vector is not None and vector.dim != model.dimension:
        raise DimensionMismatch(
            f"`{wanted.name}` holds vectors of {vector.dim} dimensions; the model "
            f"`{model.label}` gives {model.dimension}",
            hint="name the right model in the spec, or ingest into a new collection",
            subject=wanted.name,
        )
