"""What the bench of drift detection runs on: a server, two collections, their ledger, a backup.

The rows are real: passages of random words, embedded by the spec's model, written as ingestion
writes them. Nothing is the matter with them until a fault is planted.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kitestring.backup.methods import make_backup
from kitestring.clients.embedder import make_embedder
from kitestring.clients.milvus.client import MilvusServer, wait_until
from kitestring.drift import detect
from kitestring.ingest.ensure import ensure_collection
from kitestring.ingest.ledger import open_ledger
from kitestring.ingest.write import (
    Clock,
    PlannedDocument,
    PlannedRow,
    Writer,
    content_hash,
    row_key,
)
from kitestring.local import running
from kitestring.render.json import drift_facts
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from tests.bench.measure import KITESTRING, run, seconds_of

MAIN, SIDE, ALIAS = "documents", "notes", "documents_live"
TENANT = "default"
PASSAGES = 10  # of a document
_WORDS = 5000
_BATCH = 500  # keys of one request


def spec_document(data: Path | str, dimension: int, main: str = MAIN, side: str = SIDE,
                  alias: str = ALIAS) -> dict[str, Any]:  # fmt: skip
    """The spec of the bench. The second collection is there for faults of a schema."""
    shared = {
        "model": "words@1",
        "chunking": {"strategy": "sentence", "size": 200, "overlap": 0, "version": 1},
    }
    index = {"field": "embedding", "type": "IVF_FLAT", "metric": "COSINE"}
    return {
        "version": 1,
        "cluster": {"name": "bench"},
        "connection": {"embedded": str(data), "timeout": "60s"},
        "state": "state",
        "storage": {"type": "embedded"},
        "models": [
            {"provider": "hashing", "name": "words", "version": "1", "dimension": dimension}
        ],
        "collections": [
            {
                "name": main,
                **shared,
                "indexes": [{**index, "params": {"nlist": 64}}],
                "aliases": [alias],
            },
            {"name": side, **shared, "indexes": [{**index, "params": {"nlist": 16}}]},
        ],
        "backup": {"store": {"type": "local", "path": "backups"}, "method": "physical"},
        "objectives": {"rpo": "24h", "rto": "1h"},
        "suppressions": [
            {"check": "backup.not-drilled", "reason": "nothing is drilled", "until": "2999-12-31"}
        ],
    }


@dataclass
class Site:
    """A spec whose collections are as it says, on a running server."""

    loaded: LoadedSpec
    milvus: MilvusServer
    rng: random.Random
    keys: list[str] = field(default_factory=list)

    @property
    def main(self) -> str:
        return self.loaded.spec.collections[0].name

    @property
    def side(self) -> str:
        return self.loaded.spec.collections[1].name

    @property
    def alias(self) -> str:
        return self.loaded.spec.collections[0].aliases[0]

    # --- making it

    def fill(self, rows: int) -> None:
        """Creates both collections and writes that many rows into the first, as ingestion does."""
        model = self.loaded.spec.models[0]
        words = ["".join(self.rng.choices("abcdefghijklmnop", k=7)) for _ in range(_WORDS)]
        with open_ledger(self.loaded) as ledger, closing(make_embedder(self.loaded, model)) as made:
            for spec, count in zip(self.loaded.spec.collections, (rows, 0), strict=True):
                chunker = spec.chunking.label if spec.chunking else ""
                with ledger.run(spec.name) as held:
                    ensured = ensure_collection(self.loaded, self.milvus, spec)
                    ledger.bind(held, ensured.info.id)
                    writer = Writer(
                        self.milvus, ledger, held, made, spec.fields,
                        tenant=TENANT, chunker=chunker, clock=Clock(),
                    )  # fmt: skip
                    for start in range(0, count, PASSAGES):
                        size = min(PASSAGES, count - start)
                        writer.add(self._document(f"{start:09}", size, chunker, words))
                    writer.finish()
                self.milvus.flush(spec.name)
        wait_until(self.indexed, timeout=3600, what="the index")

    def _document(
        self, doc_id: str, size: int, chunker: str, words: Sequence[str]
    ) -> PlannedDocument:
        rows = []
        for number in range(size):
            text = " ".join(self.rng.choices(words, k=20))
            key = row_key(TENANT, doc_id, number, chunker)
            rows.append(PlannedRow(key, number, text, content_hash(text)))
            self.keys.append(key)
        return PlannedDocument(doc_id, content_hash(doc_id), size, tuple(rows), ())

    def indexed(self) -> bool:
        return not any(one.pending_rows for one in self.milvus.describe(self.main).indexes)

    def back_up(self) -> None:
        make_backup(self.loaded, self.milvus)

    # --- what faults are made of

    def pick(self, count: int) -> list[dict[str, Any]]:
        """Rows as they are stored, chosen at random."""
        return self.stored(self.rng.sample(self.keys, count))

    def stored(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        names = [one.name for one in self.milvus.describe(self.main).schema.fields]
        found: list[dict[str, Any]] = []
        for start in range(0, len(keys), _BATCH):
            part = self.milvus.get(self.main, keys[start : start + _BATCH], names)
            found += [{name: row[name] for name in names} for row in part]
        if len(found) != len(keys):
            raise RuntimeError(f"{len(found)} of {len(keys)} rows could be read")
        return found

    def change(self, rows: Sequence[Mapping[str, Any]], **values: Any) -> None:
        """Writes the rows with other values; everything else stays."""
        for start in range(0, len(rows), _BATCH):
            part = [{**row, **values} for row in rows[start : start + _BATCH]]
            self.milvus.upsert(self.main, part)

    def remove(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _BATCH):
            self.milvus.delete(self.main, keys[start : start + _BATCH])

    def variant(self, **top: Any) -> LoadedSpec:
        """The same spec with other top-level keys, beside it."""
        document = {**yaml.safe_load(self.loaded.file.read_text()), **top}
        file = self.loaded.file.with_name("variant.yaml")
        file.write_text(yaml.safe_dump(document))
        return load(file)


@dataclass(frozen=True)
class Seen:
    """One drift run: the report as its JSON has it, and what it took."""

    facts: Mapping[str, Any]
    seconds: float
    peak: int = 0  # bytes; 0 where it was not measured


def in_process(loaded: LoadedSpec) -> Seen:
    """A drift run in this process: no start of Python is in its time, no memory is measured."""
    reports: list[Any] = []
    seconds = seconds_of(lambda: reports.append(detect(loaded)))
    return Seen(drift_facts(reports[0]), seconds)


def as_command(loaded: LoadedSpec) -> Seen:
    """`kitestring drift`, as a user starts it."""
    out = loaded.file.with_name("report.json")
    command = (*KITESTRING, "drift", "--spec", str(loaded.file), "-o", "json", "--out", str(out))
    ran = run(*command, expect=(0, 2, 3))
    return Seen(json.loads(out.read_text()), ran.seconds, ran.peak)


@contextmanager
def site(home: Path, rows: int, dimension: int, seed: int) -> Iterator[Site]:
    """A server of its own with that many rows and a backup of them."""
    # what the server does of itself at its own time would be a difference between two runs
    calm = {"dataCoord.compaction.enableAutoCompaction": "false"}
    with running(home / "milvus", timeout=120, remove=True, extra_config=calm) as state:
        file = home / "bench.yaml"
        file.write_text(yaml.safe_dump(spec_document(home / "milvus", dimension)))
        with MilvusServer(state.uri, timeout=60) as milvus:
            made = Site(load(file), milvus, random.Random(seed))  # noqa: S311 - to be repeated
            made.fill(rows)
            made.back_up()
            yield made
