"""Which collections a backup is of."""

from __future__ import annotations

from collections.abc import Sequence

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import BackupRefused, UsageError
from kitestring.model.collection import Schema
from kitestring.spec.loaded import LoadedSpec


def names_of(
    loaded: LoadedSpec, milvus: Milvus, asked: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """What to back up, and what of the server is left out; by their real names."""
    if asked is not None and not (asked and all(name.strip() for name in asked)):
        raise UsageError("no collection is named", hint="name one, or leave `-c` out for all")
    there = milvus.list_collections()
    wanted = list(asked) if asked is not None else [c.name for c in loaded.spec.collections]
    wanted = wanted or there
    missing = [name for name in wanted if not milvus.has_collection(name)]
    if missing:
        listed = ", ".join(f"`{name}`" for name in missing)
        raise BackupRefused(
            f"the server has no collection {listed}",
            hint="create what the spec names, or name the collections to back up",
            subject=missing[0],
        )
    if not wanted:
        raise BackupRefused("the server has no collections", hint="there is nothing to back up")
    names = list(dict.fromkeys(milvus.describe(name).name for name in wanted))
    return names, [name for name in there if name not in names]


def label_of(loaded: LoadedSpec, name: str, schema: Schema) -> str | None:
    """The field that names a row's embedding model, where the collection has it."""
    spec = loaded.spec.collection(name)
    label = spec.fields.embedding_model if spec else "embedding_model"
    return label if label and schema.field(label) else None
