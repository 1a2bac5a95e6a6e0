"""The golden queries of the collections that a drill restores, as vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kitestring.errors import KitestringError
from kitestring.model.backup import BackupManifest, CollectionBackup
from kitestring.recall.probe import Queries
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec, EmbeddingModel


def golden_queries(
    loaded: LoadedSpec, manifest: BackupManifest, notes: list[str]
) -> Mapping[str, Queries]:
    """Collection -> its golden queries, for the collections that have a file of them.

    A model that can't be asked is noted: the drill then takes stored vectors as queries.

    Raises:
        GoldenInvalid: a file has errors.
    """
    found = {}
    for backup in manifest.collections:
        collection = loaded.spec.collection(backup.name)
        if collection is None or collection.golden is None:
            continue
        model = loaded.spec.model_named(collection.model)
        if model is None:
            notes.append(f"{backup.name}: no model in the spec to ask the golden queries with")
            continue
        try:
            queries = _embedded(loaded, collection, model)
        except KitestringError as error:
            if error.code == "ingest.golden":
                raise
            notes.append(f"{backup.name}: golden queries could not be asked: {error.message}")
            continue
        problem = _unfit(backup, collection, queries)
        if problem:
            notes.append(f"{backup.name}: golden queries could not be asked: {problem}")
            continue
        found[backup.name] = queries
    return found


def _embedded(loaded: LoadedSpec, collection: CollectionSpec, model: EmbeddingModel) -> Queries:
    from kitestring.clients.embedder import make_embedder  # scikit-learn takes long to import
    from kitestring.ingest.golden import load_golden

    texts = [g.query for g in load_golden(loaded.resolve(collection.golden or ""))]
    embedder = make_embedder(loaded, model)
    try:
        vectors = np.stack([embedder.embed_query(text) for text in texts])
    finally:
        embedder.close()
    label = "golden query" if len(texts) == 1 else "golden queries"
    return Queries(vectors, (None,) * len(texts), f"{len(texts):,} {label}")


def _unfit(backup: CollectionBackup, collection: CollectionSpec, queries: Queries) -> str:
    field = backup.schema.field(collection.fields.vector)
    if field is not None and field.type != "FLOAT_VECTOR":
        return f"a model gives float vectors, and `{field.name}` is {field.type}"
    if field is None or field.dim == queries.vectors.shape[1]:
        return ""
    return f"they have {queries.vectors.shape[1]} dimensions, the stored vectors {field.dim}"
