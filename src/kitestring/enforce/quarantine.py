"""Rows of another embedding model, taken out of a collection and kept in a file.

Their vectors are of no use beside the spec's model, their passages may be the only copy. So they
are written to `<state>/quarantine/` first, deleted then, and proven gone; the ledger forgets them,
and the next ingestion writes their documents again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from kitestring.clients.milvus.filters import quote
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import EnforceError
from kitestring.ingest.ledger import open_ledger
from kitestring.ingest.write import DELETE_ROWS, delete_proven
from kitestring.model.action import Action
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec

# what is kept of a row beside its key
ROLES = ("tenant_id", "doc_id", "chunk_index", "text", "content_hash", "embedding_model", "chunker")


@dataclass(frozen=True, slots=True)
class Quarantine:
    """What became of one collection. `file` is empty where nothing was, or would be, set aside."""

    collection: str
    rows: int = 0
    file: str = ""
    left: str = ""  # why it was not looked at

    def as_dict(self) -> dict[str, Any]:
        return {
            "collection": self.collection,
            "rows": self.rows,
            "file": self.file,
            "left": self.left,
        }


def quarantine(
    loaded: LoadedSpec,
    milvus: Milvus,
    *,
    dry_run: bool = False,
    on_event: Callable[[str], None] = lambda _: None,
) -> list[Quarantine]:
    """Sets aside the rows whose label is there and is not the spec's model, in every collection.

    Rows without a label stay: nothing says that they are wrong. A collection whose rows can't be
    told apart, or can't be read, is left, and says why. The ledger is held meanwhile, so that no
    ingestion writes a row between its copy and its deletion.

    Raises:
        LedgerBusy: an ingestion into the collection is under way.
        EnforceError: the file can't be written; nothing was deleted.
        IngestError: rows are still there after their deletion; the file has them too.
        MilvusError: the server refused.
    """
    results = []
    for wanted in loaded.spec.collections:
        name, label = wanted.name, wanted.fields.embedding_model
        why = _unfit(milvus, wanted)
        if why or label is None or wanted.model is None:
            results.append(Quarantine(name, left=why))
            continue
        other = f'{label} != {quote(wanted.model)} and {label} != ""'
        rows = milvus.count(name, filter=other)
        if not rows or dry_run:
            results.append(Quarantine(name, rows, str(_folder(loaded)) if rows else ""))
            continue
        with open_ledger(loaded) as ledger, ledger.run(name) as run:
            file, keys = _copy(loaded, milvus, wanted, other)
            on_event(f"{name}: {len(keys):,} rows copied to {file}")
            remaining = iter(keys)
            while some := list(islice(remaining, DELETE_ROWS)):
                delete_proven(milvus, name, wanted.fields.id, some)
                ledger.forget(run, map(str, some))
        results.append(Quarantine(name, len(keys), str(file)))
    return results


def as_actions(loaded: LoadedSpec, results: list[Quarantine]) -> list[Action]:
    """What was, or in a dry run would be, set aside."""
    return [
        Action(
            kind="quarantine",
            subject=f"{loaded.spec.cluster.name}/{r.collection}",
            reason="rows carry another embedding model than the spec's",
            before=f"{r.rows} rows of another model",
            after=f"none; the rows are in {r.file}",
            check="embedding.model-mismatch",
        )
        for r in results
        if r.rows
    ]


def _unfit(milvus: Milvus, wanted: CollectionSpec) -> str:
    if wanted.model is None:
        return "the spec names no model for it"
    if wanted.fields.embedding_model is None:
        return "its rows carry no label of a model"
    if not milvus.has_collection(wanted.name):
        return "not on the server"
    if not milvus.describe(wanted.name).loaded:
        return "not loaded: its rows can't be read"
    return ""


def _folder(loaded: LoadedSpec) -> Path:
    return loaded.state_dir / "quarantine"


def _copy(
    loaded: LoadedSpec, milvus: Milvus, wanted: CollectionSpec, expression: str
) -> tuple[Path, list[str | int]]:
    """Writes the rows to a new file, a JSON object a line; it is on the disk when this returns."""
    folder = _folder(loaded)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    file = folder / f"{wanted.name}-{stamp}-{os.getpid()}.jsonl"
    part = file.with_suffix(".part")
    keys: list[str | int] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("x", encoding="utf-8") as out:
                for row in _rows(milvus, wanted, expression):
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
                    keys.append(row["key"])
                out.flush()
                os.fsync(out.fileno())
            part.replace(file)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
    except OSError as error:
        raise EnforceError(
            f"{file} can't be written: {error.strerror}; nothing was deleted",
            hint="make room there, or let this user write the directory that `state` of the spec "
            "names",
            subject=str(file),
        ) from None
    return file, keys


def _rows(milvus: Milvus, wanted: CollectionSpec, expression: str) -> Iterator[dict[str, Any]]:
    fields = wanted.fields
    roles = [role for role in ROLES if getattr(fields, role) is not None]
    columns = [fields.id, *(getattr(fields, role) for role in roles)]
    names = ["key", *roles]
    for batch in milvus.scan(wanted.name, columns, filter=expression):
        listed = [batch.column(column).to_pylist() for column in columns]
        for values in zip(*listed, strict=True):
            yield {"collection": wanted.name, **dict(zip(names, values, strict=True))}
