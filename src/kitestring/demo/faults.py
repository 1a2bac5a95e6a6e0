"""Faults of the kinds that really happen, planted in a live collection."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.collection import Index
from kitestring.model.digest import DYNAMIC_FIELD
from kitestring.spec.models import CollectionSpec
from kitestring.spec.schema import wanted_index

ROWS_EACH = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done, and the check that has to find it."""

    check: str
    what: str


def plant_row_faults(milvus: Milvus, collection: CollectionSpec) -> list[Fault]:
    """Rows deleted, added, changed, doubled and mislabelled behind the ledger's back."""
    name, names = collection.name, collection.fields
    rows = _some_rows(milvus, name, ROWS_EACH * 5)
    key = names.id
    parts = [rows[i : i + ROWS_EACH] for i in range(0, len(rows), ROWS_EACH)]
    deleted, stale, doubled, other_model, other_chunker = parts

    milvus.delete(name, [row[key] for row in deleted])
    milvus.upsert(name, [{**row, "content_hash": "0" * 64} for row in stale])
    milvus.upsert(name, [{**row, "embedding_model": "other-model@9"} for row in other_model])
    milvus.upsert(name, [{**row, "chunker": "fixed/200/0/1"} for row in other_chunker])
    milvus.insert(name, [{**doubled[0], key: f"orphan-{n}"} for n in range(ROWS_EACH)])
    milvus.insert(name, doubled)
    return [
        Fault("rows.missing", f"{ROWS_EACH} rows deleted"),
        Fault("rows.stale", f"{ROWS_EACH} rows with the hash of another content"),
        Fault("rows.orphan", f"{ROWS_EACH} rows that no ingestion wrote"),
        Fault("rows.duplicate", f"{ROWS_EACH} rows inserted a second time"),
        Fault("embedding.model-mismatch", f"{ROWS_EACH} rows labelled with another model"),
        Fault("chunking.mismatch", f"{ROWS_EACH} rows labelled with another chunker"),
    ]


def plant_definition_faults(milvus: Milvus, collection: CollectionSpec) -> list[Fault]:
    """The index rebuilt with other parameters, the alias moved to an older collection."""
    name = collection.name
    wanted = wanted_index(collection.indexes[0])
    info = milvus.describe(name)
    older = f"{name}_older"
    milvus.create_collection(older, info.schema)
    milvus.move_alias(older, collection.aliases[0])
    milvus.release(name)
    milvus.drop_index(name, wanted.name)
    weaker = Index(wanted.name, wanted.field, wanted.type, wanted.metric, _weaker(wanted.params))
    milvus.create_index(name, weaker, wait=True)
    milvus.load(name)
    return [
        Fault("index.drift", "the index rebuilt with other parameters"),
        Fault("alias.drift", f"the alias `{collection.aliases[0]}` moved to `{older}`"),
    ]


def plant_release(milvus: Milvus, collection: CollectionSpec) -> Fault:
    """The collection released: nothing of it can be searched."""
    milvus.release(collection.name)
    return Fault("load.state", "the collection released")


def _weaker(params: Mapping[str, str]) -> dict[str, str]:
    return {**params, "M": "4", "efConstruction": "16"}


def _some_rows(milvus: Milvus, name: str, count: int) -> list[dict[str, Any]]:
    """Whole rows, as they can be written again."""
    schema = milvus.describe(name).schema
    columns = [field.name for field in schema.fields]
    batch = next(iter(milvus.scan(name, columns, batch_rows=count)))
    rows: Sequence[dict[str, Any]] = batch.to_pylist()
    now = int(time.time() * 1000)
    return [
        {k: v for k, v in row.items() if k != DYNAMIC_FIELD} | {"last_embedded_at": now}
        for row in rows
    ]
