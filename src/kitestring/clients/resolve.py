"""From a name to the collection that serves it and the encoder of its vectors, together.

An alias is a server's: it is moved in one step, and its owner is a physical collection. What a
physical collection was embedded with never changes, and is in the registry before an alias can
point at it. So the answer comes from one instant, the server's answer to who owns the alias, and
name and encoder are always of one collection, also in the middle of a cutover or rollback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kitestring.clients.embedder import Embedder, make_embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import MilvusError, NotResolved
from kitestring.model.registry import Served
from kitestring.spec.collection import CollectionSpec
from kitestring.spec.find import default_spec, named_spec
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.registry import read_registry


@dataclass(frozen=True, slots=True)
class Resolved:
    """A collection that can be searched, and by what. Search `collection`, not the alias: the
    alias may move between the question and its answer, the collection's model does not."""

    name: str  # that was asked for
    collection: str  # physical
    model: str  # name@version
    dimension: int
    vector: str  # the field to search
    params: Mapping[str, str | int | float | bool]
    source: str  # registry, spec or rows
    loaded: LoadedSpec = field(repr=False, compare=False)

    def embedder(self) -> Embedder:
        """The encoder of questions to `collection`; close it after use.

        Raises:
            NotResolved: the spec's `models` do not describe it.
            EmbedderFailed, SecretMissing.
        """
        model = self.loaded.spec.model_named(self.model)
        if model is None:
            raise NotResolved(
                f"`{self.collection}` holds vectors of `{self.model}`, which is not among `models`",
                hint=f"describe it in `models` of {self.loaded.file}",
                subject=self.collection,
            )
        return make_embedder(self.loaded, model)


def resolve(
    name: str, *, spec: str | Path | LoadedSpec | None = None, milvus: Milvus | None = None
) -> Resolved:
    """The collection that serves a name, and the model of its vectors.

    Args:
        name: an alias, or a collection of the spec: that stands for its first alias.
        spec: a spec or its file; by default `KITESTRING_SPEC`, then `kitestring.yaml`.
        milvus: a connection to use; by default one is opened and closed.

    Raises:
        NotResolved: the server has no such name, or nobody knows the model of its vectors.
        SpecError, MilvusError.
    """
    loaded = spec if isinstance(spec, LoadedSpec) else load(named_spec(spec) or default_spec())
    if milvus is not None:
        return _resolved(loaded, milvus, name)
    from kitestring.clients.milvus.connect import connect

    with connect(loaded) as server:
        return _resolved(loaded, server, name)


def _resolved(loaded: LoadedSpec, milvus: Milvus, name: str) -> Resolved:
    asked = _alias_of(loaded, name)
    owner = milvus.alias_owner(asked) or (asked if milvus.has_collection(asked) else None)
    if owner is None:
        raise NotResolved(
            f"the server has no collection or alias `{asked}`",
            hint="`kitestring drift` tells what is missing, `kitestring reconcile` makes it",
            subject=name,
        )
    # read after the server was asked: an alias never points at what is not in it
    served = read_registry(loaded).collections.get(owner)
    if served is not None:
        said = loaded.spec.collection(name) or loaded.spec.collection(owner)
        if said is not None:  # how to search is the spec's to change at any time
            served = replace(served, params=said.search.params)
        return _of(loaded, name, served, "registry")
    collection = loaded.spec.collection(owner)
    if collection is not None and collection.name == owner:
        model = loaded.spec.model_named(collection.model)
        if model is not None:
            return _of(loaded, name, served_by_spec(collection, model.dimension), "spec")
    return _by_rows(loaded, milvus, name, owner)


def served_by_spec(collection: CollectionSpec, dimension: int) -> Served:
    """A collection as the spec describes it; it has to name a model."""
    vector, params = collection.fields.vector, collection.search.params
    return Served(collection.name, str(collection.model), dimension, vector, params)


def _alias_of(loaded: LoadedSpec, name: str) -> str:
    """The alias that a collection's name stands for; other names stand for themselves."""
    family = loaded.registry.family_of(name)
    if family is not None and name in family.members and family.aliases:
        return family.aliases[0]
    collection = loaded.spec.collection(name)
    if collection is not None and collection.name == name and collection.aliases:
        return collection.aliases[0]
    return name


def _by_rows(loaded: LoadedSpec, milvus: Milvus, name: str, owner: str) -> Resolved:
    """For hosts that do not have the registry: a stored row names its model."""
    collection = loaded.spec.collection(name)
    label = collection.fields.embedding_model if collection else None
    info = milvus.describe(owner)
    vector = info.schema.field(collection.fields.vector) if collection else None
    if collection is None or label is None or info.schema.field(label) is None or vector is None:
        raise NotResolved(
            f"nobody says which model made the vectors of `{owner}`",
            hint=f"name it in `collections` of {loaded.file}, with its `model`",
            subject=name,
        )
    try:
        batch = next(iter(milvus.scan(owner, [label], batch_rows=1)), None)
    except MilvusError as error:
        raise NotResolved(
            f"the model of `{owner}` can't be read from its rows: {error.message}",
            hint="load the collection, or give this host the state directory of the spec",
            subject=name,
        ) from None
    if batch is None or not batch.num_rows:
        raise NotResolved(
            f"`{owner}` has no row that names its model, and no registry is here",
            hint="give this host the state directory of the spec",
            subject=name,
        )
    model = str(batch.column(0)[0].as_py())
    served = Served(owner, model, vector.dim or 0, vector.name, collection.search.params)
    return _of(loaded, name, served, "rows")


def _of(loaded: LoadedSpec, name: str, served: Served, source: str) -> Resolved:
    return Resolved(
        name,
        served.collection,
        served.model,
        served.dimension,
        served.vector,
        served.params,
        source,
        loaded,
    )
