"""The golden queries of the collections that a drill restores, as vectors."""

from __future__ import annotations

from collections.abc import Mapping

from kitestring.errors import KitestringError
from kitestring.model.backup import BackupManifest
from kitestring.observe.golden import golden_vectors
from kitestring.recall.probe import Queries
from kitestring.spec.loaded import LoadedSpec


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
        if loaded.spec.model_named(collection.model) is None:
            notes.append(f"{backup.name}: no model in the spec to ask the golden queries with")
            continue
        try:
            found[backup.name] = golden_vectors(loaded, collection, backup.schema)
        except KitestringError as error:
            if error.code == "ingest.golden":
                raise
            notes.append(f"{backup.name}: golden queries could not be asked: {error.message}")
    return found
