"""A collection with an alias, filled by ingestion, and two hashing models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.clients import registry
from kitestring.ingest.ledger import Ledger
from kitestring.ingest.run import ingest
from kitestring.reembed import ask, copy, record
from kitestring.reembed.journal import Journal
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from tests.unit.reembed.store import RowsMilvus

SPEC = """\
version: 1
cluster: {name: test}
connection: {uri: "http://127.0.0.1:19530"}
state: state
models:
  - {provider: hashing, name: chars, version: "1", dimension: 32, options: {analyzer: char}}
  - {provider: hashing, name: words, version: "1", dimension: 48}
collections:
  - name: docs_v1
    model: chars@1
    chunking: {strategy: sentence, size: 64, overlap: 0, version: 1}
    indexes:
      - {field: embedding, type: FLAT, metric: COSINE}
    search: {top_k: 3}
    aliases: [docs]
    golden: golden.yaml
    reembed: {retention: 1h, latency: 1000, hits_lost: 1.0}
"""
GOLDEN = """\
version: 1
queries:
  - {query: the string of a kite, relevant: [kites.md]}
  - {query: boats in a harbour, relevant: [boats.md]}
"""
DOCUMENTS = {
    "kites.md": "The string of a kite keeps it. A kite flies in the wind. Milvus is a kite too.",
    "boats.md": "Boats lie in a harbour. A sail takes the wind. An anchor holds a boat fast.",
    "trees.md": "Trees stand in a wood. Birds sit in trees. A wood is full of noises at night.",
}


class Site:
    """A spec file, a corpus, a server; loaded anew for each command, as the command line does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "cluster.yaml"
        self.file.write_text(SPEC)
        (folder / "golden.yaml").write_text(GOLDEN)
        self.corpus = folder / "corpus"
        self.corpus.mkdir()
        for name, text in DOCUMENTS.items():
            self.write(name, text)
        self.milvus = RowsMilvus()

    def write(self, name: str, text: str) -> None:
        (self.corpus / name).write_text(text)

    def loaded(self) -> LoadedSpec:
        return load(self.file, {})

    def ingest(self, loaded: LoadedSpec | None = None) -> Any:
        return ingest(loaded or self.loaded(), self.milvus, "docs", [self.corpus], prune=True)

    def edit(self, old: str, new: str) -> None:
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def follow_cutover(self) -> None:
        """Edits the two lines that a cutover asks for."""
        self.edit("name: docs_v1", "name: docs_v2")
        self.edit("    model: chars@1", "    model: words@1")

    def labels(self, name: str) -> set[str]:
        return {row["embedding_model"] for row in self.milvus.rows(name).values()}

    def texts(self, name: str) -> dict[str, str]:
        return {key: row["text"] for key, row in self.milvus.rows(name).items()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.ingest()
    return made


@pytest.fixture
def killable(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Kills before the n-th step from now: a change of the server, a file put in its place, or a
    note of the journal. None lets everything pass and goes on counting."""

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            site.milvus.steps()
            return function(*args, **kwargs)

        return write

    monkeypatch.setattr(registry, "write_whole", counted(registry.write_whole))
    monkeypatch.setattr(record, "write_whole", counted(record.write_whole))
    for kind, names in (
        (Journal, ("note", "forget", "is_true")),
        (Ledger, ("hand_over", "bind", "forget_collection")),
    ):
        for name in names:
            monkeypatch.setattr(kind, name, counted(getattr(kind, name)))
    monkeypatch.setattr(copy, "BATCH_ROWS", 6)
    monkeypatch.setattr(ask, "TIMED", 1)

    def kill_before(step: int | None) -> None:
        site.milvus.steps.taken = 0
        site.milvus.steps.kill_before = step

    return kill_before
