"""What a re-embedding needs, looked at before anything is touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.resolve import served_by_spec
from kitestring.errors import ReembedRefused
from kitestring.ingest.run import collection_to_write
from kitestring.model.collection import CollectionInfo, Schema
from kitestring.model.reembed import Operation
from kitestring.model.registry import Served
from kitestring.reembed.record import operation_for
from kitestring.spec.collection import CollectionSpec
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import EmbeddingModel
from kitestring.spec.registry import served_as

Reason = tuple[str, str]  # what stands against it, and what to do
_VERSION = re.compile(r"^(.*?)_v(\d+)$")
_SPLIT_BY_M = ("IVF_PQ", "HNSW_PQ", "HNSW_PRQ", "GPU_IVF_PQ")
_LARGEST = 32768  # dimensions (Milvus limits: "Dimensions of a vector")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of model, as far as the spec tells it."""

    wanted: CollectionSpec
    position: int  # in the spec's list
    model_from: EmbeddingModel
    model_to: EmbeddingModel

    @property
    def before(self) -> Served:
        return served_by_spec(self.wanted, self.model_from.dimension)

    def after(self, shadow: str) -> Served:
        """What the shadow collection is, for the registry."""
        return replace(
            self.before,
            collection=shadow,
            model=self.model_to.label,
            dimension=self.model_to.dimension,
        )


def change_of(loaded: LoadedSpec, name: str, label: str) -> Change:
    """The change that `--collection name --to label` asks for.

    Raises:
        UsageError: the spec has no such collection, or it has no model.
        ReembedRefused: the spec's `models` have no such model.
    """
    wanted, model_from = collection_to_write(loaded, name)
    position = next(i for i, c in enumerate(loaded.spec.collections) if c.name == wanted.name)
    model_to = loaded.spec.model_named(label)
    if model_to is None:
        known = ", ".join(m.label for m in loaded.spec.models) or "none"
        raise ReembedRefused(
            f"{loaded.locate('models')}: `models` has no `{label}`",
            hint=f"describe it there (name, version, dimension); it has: {known}",
            subject=label,
        )
    return Change(wanted, position, model_from, model_to)


def change_for(loaded: LoadedSpec, operation: Operation) -> Change:
    """The change of an operation that is under way, whichever of its collections is live.

    Raises:
        ReembedRefused: the spec does not describe the collection or a model any more.
    """
    named = (operation.source, operation.shadow)
    found = [(i, c) for i, c in enumerate(loaded.spec.collections) if c.name in named]
    models = [loaded.spec.model_named(m) for m in (operation.model_from, operation.model_to)]
    if not found or models[0] is None or models[1] is None:
        missing = next(
            (
                f"model `{label}`"
                for label, model in zip(
                    (operation.model_from, operation.model_to), models, strict=True
                )
                if model is None
            ),
            f"collection `{operation.source}`",
        )
        raise ReembedRefused(
            f"{loaded.file} has no {missing} any more, and a re-embedding needs it",
            hint="put it back until the re-embedding is finished",
            subject=operation.source,
        )
    position, wanted = found[0]
    source = replace(
        served_by_spec(wanted, models[0].dimension),
        collection=operation.source,
        model=operation.model_from,
    )
    before, _ = served_as(wanted, source, position)
    return Change(before, position, models[0], models[1])


def reasons(loaded: LoadedSpec, milvus: Milvus, change: Change) -> Iterator[Reason]:
    """All that stands against it."""
    wanted = change.wanted
    if change.model_to.label == change.model_from.label:
        yield f"`{wanted.name}` is embedded by `{change.model_to.label}` already", "nothing to do"
        return
    running = operation_for(loaded, wanted.name)
    if running is not None and not running.ended:
        yield (
            f"another re-embedding of it is under way: `{running.source}` to `{running.shadow}` "
            f"by `{running.model_to}`, {running.state}",
            "`kitestring reembed status` tells what to do next with it",
        )
    if not milvus.has_collection(wanted.name):
        yield f"the server has no collection `{wanted.name}`", "`kitestring reconcile` makes it"
        return
    info = milvus.describe(wanted.name)
    if info.name != wanted.name:
        yield (
            f"on the server, `{wanted.name}` is an alias of `{info.name}`",
            f"correct `name` at {loaded.locate('collections', change.position, 'name')}",
        )
        return
    yield from _of_aliases(loaded, milvus, change)
    yield from _of_schema(info, change)
    yield from _of_index(loaded, change)


def _of_aliases(loaded: LoadedSpec, milvus: Milvus, change: Change) -> Iterator[Reason]:
    wanted, where = change.wanted, loaded.locate("collections", change.position, "name")
    if not wanted.aliases:
        base = _VERSION.match(wanted.name)
        alias = base[1] if base else f"{wanted.name}_live"
        yield (
            f"`{wanted.name}` has no alias: its clients ask by its own name, and that can't be "
            "switched",
            f"at {where} add `aliases: [{alias}]`, run `kitestring reconcile`, and have clients "
            f'ask for `{alias}`, or by kitestring.resolve("{alias}")',
        )
    for alias in wanted.aliases:
        owner = milvus.alias_owner(alias)
        if owner != wanted.name:
            yield (
                f"the alias `{alias}` points to `{owner or 'nothing'}`, not to `{wanted.name}`",
                "`kitestring reconcile` moves it",
            )


def _of_schema(info: CollectionInfo, change: Change) -> Iterator[Reason]:
    fields, schema = change.wanted.fields, info.schema
    text = schema.field(fields.text) if fields.text else None
    if text is None or text.type != "VARCHAR":
        yield (
            "its rows do not hold the text that was embedded: there is nothing to embed again",
            "name the field in `fields.text` of the collection; where no field has it, ingest the "
            "documents into a new collection",
        )
    if schema.primary.auto_id:
        yield (
            "the server makes its keys: a row would have another key in the new collection",
            "ingest the documents into a new collection",
        )
    vector = schema.field(fields.vector)
    if vector is None or vector.type != "FLOAT_VECTOR":
        kind = "no field" if vector is None else vector.type
        yield (
            f"its vector field `{fields.vector}` is {kind}; a model gives FLOAT_VECTOR",
            "name the right field in `fields.vector` of the collection",
        )
    label = schema.field(fields.embedding_model) if fields.embedding_model else None
    if label is None:
        yield (
            "its rows do not name their model: nobody could tell old rows from new ones",
            "name a VARCHAR field in `fields.embedding_model` of the collection",
        )
    elif label.max_length and len(change.model_to.label.encode()) > label.max_length:
        yield (
            f"`{label.name}` holds {label.max_length} bytes, too few for the new label",
            "give the model a shorter name",
        )
    if not info.loaded:
        yield (
            "it is not loaded: what ingestion changes meanwhile can't be read",
            "`kitestring reconcile` loads it",
        )


def _of_index(loaded: LoadedSpec, change: Change) -> Iterator[Reason]:
    dimension, wanted = change.model_to.dimension, change.wanted
    if dimension > _LARGEST:
        yield f"{dimension:,} dimensions are more than Milvus takes ({_LARGEST:,})", "another model"
    for number, index in enumerate(wanted.indexes):
        if index.field != wanted.fields.vector:
            continue
        m = index.params.get("m")
        if index.type in _SPLIT_BY_M and isinstance(m, int) and m and dimension % m:
            where = loaded.locate("collections", change.position, "indexes", number)
            fits = [n for n in range(m, 0, -1) if dimension % n == 0]
            yield (
                f"the index {index.type} cuts vectors into m = {m} parts, and {dimension} "
                f"dimensions can't be: {dimension} is no multiple of {m}",
                f"at {where} take an `m` such as {fits[0]}, or another index",
            )


def shadow_schema(schema: Schema, vector: str, dimension: int) -> Schema:
    """The schema of the source with another dimension."""
    fields = tuple(replace(f, dim=dimension) if f.name == vector else f for f in schema.fields)
    return replace(schema, fields=fields)


def next_name(milvus: Milvus, source: str) -> str:
    """`docs_v2` after `docs_v1` or `docs`: the first version that the server has nothing under."""
    found = _VERSION.match(source)
    base, version = (found[1], int(found[2])) if found else (source, 1)
    while milvus.has_collection(name := f"{base}_v{version + 1}"):
        version += 1
    return name
