"""The golden queries of a collection, as vectors of its model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import numpy as np

from kitestring.errors import CollectionUnfit
from kitestring.ingest.golden import GoldenQuery, load_golden
from kitestring.model.collection import Schema
from kitestring.recall.probe import Queries
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec


def read_golden(loaded: LoadedSpec, collection: CollectionSpec) -> tuple[GoldenQuery, ...]:
    """The golden queries that a collection names; none where it names no file.

    Raises:
        GoldenInvalid: the message lists every error with file and line.
    """
    return load_golden(loaded.resolve(collection.golden)) if collection.golden else ()


def golden_vectors(
    loaded: LoadedSpec,
    collection: CollectionSpec,
    schema: Schema,
    golden: Sequence[GoldenQuery] | None = None,
) -> Queries:
    """The golden queries embedded by the collection's model, in their order.

    Raises:
        GoldenInvalid: the file has errors.
        CollectionUnfit: the spec names no model, or one of other vectors than the stored ones.
        EmbedderFailed, SecretMissing: the model can't be asked.
    """
    from kitestring.clients.embedder import make_embedder  # scikit-learn takes long to import

    model = loaded.spec.model_named(collection.model)
    if model is None:
        raise CollectionUnfit("no model in the spec to ask the golden queries with")
    asked = read_golden(loaded, collection) if golden is None else golden
    with closing(make_embedder(loaded, model)) as embedder:
        vectors = np.stack([embedder.embed_query(one.query) for one in asked])
    problem = _unfit(schema, collection, vectors.shape[1])
    if problem:
        raise CollectionUnfit(problem)
    label = "golden query" if len(asked) == 1 else "golden queries"
    return Queries(vectors, (None,) * len(asked), f"{len(asked):,} {label}")


def _unfit(schema: Schema, collection: CollectionSpec, dimension: int) -> str:
    field = schema.field(collection.fields.vector)
    if field is not None and field.type != "FLOAT_VECTOR":
        return f"a model gives float vectors, and `{field.name}` is {field.type}"
    if field is None or field.dim == dimension:
        return ""
    return f"they have {dimension} dimensions, the stored vectors {field.dim}"
