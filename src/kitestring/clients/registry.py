"""Writes the registry of re-embeddings; it is there whole or not at all."""

from __future__ import annotations

import json

from kitestring.clients.textfile import write_whole
from kitestring.model.codec import to_plain
from kitestring.model.registry import Registry
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.registry import registry_file


def write_registry(loaded: LoadedSpec, registry: Registry) -> None:
    """Puts a registry in place of the one that is there.

    Raises:
        StoreFull, StoreError: it could not be written; the old one stays.
    """
    path = registry_file(loaded)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(to_plain(registry), indent=2) + "\n")
