"""The resolved spec, with where each value came from.

A spec names secrets and never holds them, so that nothing here needs hiding but what a user put
into a place of which the models do not know: there is no such place, unknown keys are errors.
"""

from __future__ import annotations

from typing import Any

from kitestring.spec.loaded import KeyPath, LoadedSpec
from kitestring.spec.models import FieldMap, Spec
from kitestring.spec.problems import path_text
from kitestring.spec.yamltext import to_yaml

SCHEMA_VERSION = 1


def plain(spec: Spec) -> dict[str, Any]:
    """A spec as the values of a file that would be read to it."""
    data: dict[str, Any] = spec.model_dump(mode="json")
    for collection in data["collections"]:
        fields = collection["fields"]
        for role in FieldMap.model_fields:
            fields[role] = fields[role] or "none"
    return data


def show_yaml(loaded: LoadedSpec) -> str:
    """The resolved spec as YAML; a comment behind each value says where it came from."""
    comments = {path: _source(loaded, path) for path in loaded.sources}
    head = f"# {loaded.file}, resolved\n"
    return head + to_yaml(plain(loaded.spec), comments)


def show_dict(loaded: LoadedSpec) -> dict[str, Any]:
    """The resolved spec and the source of each value by its key path, for JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "file": str(loaded.file),
        "spec": plain(loaded.spec),
        "sources": {path_text(path): source for path, source in loaded.sources.items()},
    }


def _source(loaded: LoadedSpec, path: KeyPath) -> str:
    source = loaded.sources[path]
    return f"file:{loaded.positions[path][0]}" if source == "file" else source
