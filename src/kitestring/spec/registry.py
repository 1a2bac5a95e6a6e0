"""The registry of re-embeddings beside a spec: what it says is laid over the spec.

After a cutover the spec still names the old collection and model until somebody edits it. Until
then every verb goes by the registry, or ingestion would write to a collection that nobody asks,
and `reconcile` would move the alias back; the check `reembed.spec` names the lines to change.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from kitestring.errors import RegistryUnreadable
from kitestring.model.codec import from_plain
from kitestring.model.registry import REGISTRY_VERSION, Registry, Served
from kitestring.spec.collection import CollectionSpec
from kitestring.spec.loaded import Change, LoadedSpec

REGISTRY_FILE = "registry.json"


def registry_file(loaded: LoadedSpec) -> Path:
    """Where the registry of a cluster is."""
    return loaded.state_dir / REGISTRY_FILE


def read_registry(loaded: LoadedSpec) -> Registry:
    """The registry of the spec's cluster; an empty one where there is no file.

    Raises:
        RegistryUnreadable: damaged, of a newer version, or another cluster's.
    """
    path, cluster = registry_file(loaded), loaded.spec.cluster.name

    def unreadable(why: str, hint: str) -> RegistryUnreadable:
        return RegistryUnreadable(f"{path} {why}", hint=hint, subject=str(path))

    mend = "bring the file back from a copy of the state directory"
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return Registry(cluster)
    except NotADirectoryError:
        mend = f"`state` of {loaded.file} names a directory: {path.parent} is none"
        raise unreadable("can't be read: Not a directory", mend) from None
    except OSError as error:
        raise unreadable(f"can't be read: {error.strerror}", "look at its rights") from None
    except ValueError:
        raise unreadable("is damaged: it is no JSON", mend) from None
    if isinstance(data, dict) and data.get("schema_version") not in (None, REGISTRY_VERSION):
        raise unreadable(
            f"has version {data['schema_version']}; this kitestring reads {REGISTRY_VERSION}",
            "use the newer kitestring that wrote it",
        )
    try:
        found = from_plain(Registry, data)
    except ValueError as error:
        raise unreadable(f"is damaged: {error}", mend) from None
    if found.cluster != cluster:
        raise unreadable(
            f"belongs to the cluster `{found.cluster}`, not to `{cluster}`",
            "give each cluster a `state` directory of its own",
        )
    return found


def follow(loaded: LoadedSpec) -> LoadedSpec:
    """The spec with what the registry says of its collections laid over it."""
    registry = read_registry(loaded)
    if not registry.families:
        return replace(loaded, registry=registry)
    names = {c.name for c in loaded.spec.collections}
    collections: list[CollectionSpec] = []
    changes: list[Change] = []
    for position, said in enumerate(loaded.spec.collections):
        family = registry.family_of(said.name)
        served = registry.collections.get(family.live) if family else None
        taken = served is None or (served.collection != said.name and served.collection in names)
        if served is None or taken or loaded.spec.model_named(served.model) is None:
            collections.append(said)
            continue
        collection, differing = served_as(said, served, position)
        collections.append(collection)
        changes += differing
    spec = loaded.spec.model_copy(update={"collections": collections})
    return replace(loaded, spec=spec, registry=registry, followed=tuple(changes))


def served_as(
    said: CollectionSpec, served: Served, position: int
) -> tuple[CollectionSpec, tuple[Change, ...]]:
    """A collection of the spec as the registry has it, and what has to change in the file."""
    update: dict[str, Any] = {}
    changes = []
    here = ("collections", position)
    for key, now in (("name", served.collection), ("model", served.model)):
        if getattr(said, key) != now:
            update[key] = now
            changes.append(Change((*here, key), str(getattr(said, key) or "none"), now))
    columns = list(said.columns or ())
    for number, column in enumerate(columns):
        if column.name == said.fields.vector and column.dim != served.dimension:
            columns[number] = column.model_copy(update={"dim": served.dimension})
            update["columns"] = columns
            path = (*here, "columns", number, "dim")
            changes.append(Change(path, str(column.dim), str(served.dimension)))
    return said.model_copy(update=update) if update else said, tuple(changes)
