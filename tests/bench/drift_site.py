"""What the bench of drift detection runs on: a server, two collections, their ledger, a backup.

The rows are real: passages of random words, embedded by the spec's model, written as ingestion
writes them. Nothing is the matter with them until a fault is planted.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kitestring.backup.methods import make_backup
from kitestring.canary.sign_off import sign_off
from kitestring.clients.embedder import make_embedder
from kitestring.clients.milvus.client import MilvusServer, wait_until
from kitestring.clients.systemd import Timer, timer_of
from kitestring.drift import detect
from kitestring.ingest.ensure import ensure_collection
from kitestring.ingest.ledger import open_ledger
from kitestring.ingest.write import content_hash, row_key
from kitestring.local import running
from kitestring.model.ledger import LedgerRow
from kitestring.render.json import drift_facts
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from tests.bench.measure import KITESTRING, run, seconds_of

MAIN, SIDE, ALIAS = "documents", "notes", "documents_live"
TENANT = "default"
PASSAGES = 10  # of a document
_WORDS = 5000
_BATCH = 500  # rows of one request


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
                "canary": {"rows": 100, "reference": 200},
                "tenancy": "collection",
                "isolation": {"tenant": TENANT},
            },
            {"name": side, **shared, "indexes": [{**index, "params": {"nlist": 16}}]},
        ],
        "day2": {"units": "units"},
        "backup": {"store": {"type": "local", "path": "backups"}, "method": "physical"},
        "objectives": {"rpo": "24h", "rto": "1h"},
        "suppressions": [
            {"check": "backup.not-drilled", "reason": "nothing is drilled", "until": "2999-12-31"}
        ],
    }


def _entry(number: int, text: str, model: str, chunker: str, now: int) -> LedgerRow:
    document, chunk = divmod(number, PASSAGES)
    doc_id = f"{document:09}"
    key = row_key(TENANT, doc_id, chunk, chunker)
    return LedgerRow(key, doc_id, chunk, content_hash(text), model, chunker, now)


def _row(entry: LedgerRow) -> dict[str, Any]:
    return {
        "id": entry.key,
        "tenant_id": TENANT,
        "doc_id": entry.doc_id,
        "chunk_index": entry.chunk_index,
        "content_hash": entry.content_hash,
        "embedding_model": entry.embedding_model,
        "chunker": entry.chunker,
        "last_embedded_at": entry.last_embedded_at,
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
        """Creates both collections, and writes that many rows and their ledger into the first."""
        model = self.loaded.spec.models[0]
        words = ["".join(self.rng.choices("abcdefghijklmnop", k=7)) for _ in range(_WORDS)]
        with open_ledger(self.loaded) as ledger, closing(make_embedder(self.loaded, model)) as made:
            for spec, count in zip(self.loaded.spec.collections, (rows, 0), strict=True):
                chunker = spec.chunking.label if spec.chunking else ""
                with ledger.run(spec.name) as held:
                    ledger.bind(held, ensure_collection(self.loaded, self.milvus, spec).info.id)
                    for start in range(0, count, _BATCH):
                        numbers = range(start, min(start + _BATCH, count))
                        texts = [" ".join(self.rng.choices(words, k=20)) for _ in numbers]
                        now = int(time.time() * 1000)
                        entries = [
                            _entry(number, text, model.label, chunker, now)
                            for number, text in zip(numbers, texts, strict=True)
                        ]
                        documents = Counter(entry.doc_id for entry in entries)
                        announced = {doc: (content_hash(doc), n) for doc, n in documents.items()}
                        ledger.announce(held, TENANT, announced)
                        vectors = made.embed(texts)
                        self.milvus.upsert(
                            spec.name,
                            [
                                {**_row(entry), "text": text, "embedding": vector}
                                for entry, text, vector in zip(entries, texts, vectors, strict=True)
                            ],
                        )
                        ledger.enter(held, TENANT, entries)
                        ledger.complete(held, TENANT, documents)
                        self.keys += [entry.key for entry in entries]
                self.milvus.flush(spec.name)
        wait_until(self.indexed, timeout=3600, what="the index")

    def prepare(self) -> None:
        """What checks compare with beside the rows: a backup, a sign-off, roles, systemd units."""
        make_backup(self.loaded, self.milvus)
        sign_off(self.loaded, self.milvus, self.loaded.spec.collections[0])
        timer = self.timer()
        timer.folder.mkdir(exist_ok=True)
        for file, text in zip(timer.files, (timer.service, timer.timer), strict=True):
            file.write_text(text)
        access = self.loaded.spec.access
        for role in access.roles if access else ():
            self.milvus.admin.create_role(role.name)
            for privilege in role.privileges:
                self.milvus.admin.grant(role.name, privilege)

    def timer(self) -> Timer:
        """The units of one scheduled task, in a folder of the spec: no systemd runs them."""
        return timer_of(self.loaded, "drift")

    def indexed(self) -> bool:
        return not any(one.pending_rows for one in self.milvus.describe(self.main).indexes)

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


def in_process(loaded: LoadedSpec, only: tuple[str, ...] = ()) -> Seen:
    """A drift run in this process: no start of Python is in its time, no memory is measured."""
    reports: list[Any] = []
    seconds = seconds_of(lambda: reports.append(detect(loaded, only=only)))
    return Seen(drift_facts(reports[0]), seconds)


def as_command(loaded: LoadedSpec, only: tuple[str, ...] = ()) -> Seen:
    """`kitestring drift`, as a user starts it."""
    out = loaded.file.with_name("report.json")
    chosen = [word for name in only for word in ("--only", name)]
    command = (*KITESTRING, "drift", "--spec", str(loaded.file), *chosen, "-o", f"json={out}")
    ran = run(*command, expect=(0, 2, 3))
    return Seen(json.loads(out.read_text()), ran.seconds, ran.peak)


_ROOT = "root:Milvus"
_ACCESS = {
    "roles": [{"name": "reader", "grants": [{"privileges": ["Search", "Query"]}]}],
}


@contextmanager
def site(home: Path, rows: int, dimension: int, seed: int) -> Iterator[Site]:
    """A server of its own with that many rows, which knows users and roles."""
    # what the server does of itself at its own time would be a difference between two runs
    calm = {"dataCoord.compaction.enableAutoCompaction": "false"}
    data = home / "milvus"
    with running(
        data, timeout=120, authorization=True, remove=True, extra_config=calm
    ) as state, MilvusServer(state.uri, token=_ROOT, timeout=60) as milvus:  # fmt: skip
        document = {**spec_document(data, dimension), "access": _ACCESS}
        (home / "token").write_text(_ROOT)
        document["connection"]["token"] = {"file": "token"}
        file = home / "bench.yaml"
        file.write_text(yaml.safe_dump(document))
        made = Site(load(file), milvus, random.Random(seed))  # noqa: S311 - to be repeated
        made.fill(rows)
        made.prepare()
        yield made
