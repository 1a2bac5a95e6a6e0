"""A collection changes its embedding model on a real server, killed once in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kitestring.clients.embedder import make_embedder
from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.milvus.waiting import wait_until
from kitestring.clients.resolve import resolve
from kitestring.drift import detect
from kitestring.errors import ReembedRefused
from kitestring.ingest.run import ingest
from kitestring.ingest.search import search
from kitestring.model.finding import Verdict
from kitestring.model.reembed import COPYING, FINISHED, ROLLED_BACK
from kitestring.reembed.cutover import cutover
from kitestring.reembed.finish import finish
from kitestring.reembed.plan import plan
from kitestring.reembed.record import now_ms
from kitestring.reembed.rollback import rollback
from kitestring.reembed.run import run
from kitestring.reembed.status import status
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

pytestmark = pytest.mark.server
SpecFor = Callable[..., LoadedSpec]
Unique = Callable[[str], str]

CHARS = {
    "provider": "hashing", "name": "hashing-char", "version": "1", "dimension": 96,
    "options": {"analyzer": "char_wb", "ngram_min": 3, "ngram_max": 4},
}  # fmt: skip
WORDS = {"provider": "hashing", "name": "hashing-word", "version": "1", "dimension": 64}
# the third batch is noted, and then the process hangs until it is killed
HANGS = """
import sys
from kitestring.reembed import copy
from kitestring.reembed.journal import Journal

copy.BATCH_ROWS, note, batches = 8, Journal.note, []

def noted(self, rows, number):
    note(self, rows, number)
    batches.append(number)
    if len(batches) == 3:
        print("hangs", flush=True)
        sys.stdin.read()

Journal.note = noted
from kitestring.cli import main
main()
"""


def text_of(word: str, sentences: int) -> str:
    return " ".join(f"The {word} of number {n} has {n * 7} parts." for n in range(sentences))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for word in ("kite", "string", "harbour", "engine"):
        (folder / f"{word}.txt").write_text(text_of(word, 40))
    return folder


def contents(milvus: MilvusServer, name: str, column: str = "text") -> dict[str, Any]:
    rows = [r for b in milvus.scan(name, ["id", column]) for r in b.to_pylist()]
    assert len(rows) == milvus.count(name)
    return {row["id"]: row[column] for row in rows}


def assert_embedded(loaded: LoadedSpec, milvus: MilvusServer, name: str) -> None:
    """Every vector is the new model's of its row's text, whoever embedded it."""
    texts, vectors = contents(milvus, name), contents(milvus, name, "embedding")
    with closing(make_embedder(loaded, loaded.spec.models[1])) as embedder:
        expected = embedder.embed(list(texts.values()))
    assert np.allclose([vectors[key] for key in texts], expected, atol=1e-6)


def failed(loaded: LoadedSpec) -> set[str]:
    report = detect(load(loaded.file), only=("reembed", "schema", "alias", "rows", "embedding"))
    return {r.check for r in report.runs if r.verdict is not Verdict.PASS}


class Resolving:
    """A client that resolves all the time and notes what it got."""

    def __init__(self, loaded: LoadedSpec, milvus: MilvusServer, alias: str) -> None:
        self.pairs: set[tuple[str, str, int]] = set()
        self._stop = threading.Event()
        self._failure: BaseException | None = None

        def ask() -> None:
            try:
                while not self._stop.is_set():
                    found = resolve(alias, spec=loaded, milvus=milvus)
                    self.pairs |= {(found.collection, found.model, found.dimension)}
            except BaseException as error:  # noqa: BLE001 - told to the test
                self._failure = error

        self._thread = threading.Thread(target=ask)

    def wait_for(self, collection: str) -> None:
        """Waits until it has got a collection at least once."""
        wait_until(
            lambda: self._failure is not None or collection in {c for c, _, _ in self.pairs},
            timeout=60,
            what=f"a client that gets {collection}",
        )

    def __enter__(self) -> Resolving:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure


def test_another_model_with_a_kill_a_rollback_and_a_finish(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, corpus: Path
) -> None:
    alias = unique("docs")
    old, new = f"{alias}_v1", f"{alias}_v2"
    held = {"retention": "1h", "latency": 1000.0}
    loaded = spec_for(
        {"name": old, "model": "hashing-char@1", "aliases": [alias], "reembed": held},
        models=[CHARS, WORDS],
    )
    ingest(loaded, milvus, alias, [corpus])
    texts = contents(milvus, old)
    rows = len(texts)

    planned = plan(loaded, milvus, alias, "hashing-word@1")
    assert (planned.shadow, planned.refused) == (new, ())
    assert planned.estimate is not None
    assert (planned.estimate.rows, planned.estimate.read_by) == (rows, "segments")
    assert not milvus.has_collection(new)

    command = ["reembed", "run", "--spec", str(loaded.file), "--collection", alias]
    process = subprocess.Popen(  # processes embed the texts; the next run does so alone
        [sys.executable, "-c", HANGS, *command, "--to", "hashing-word@1", "--on", "pool"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        process.send_signal(signal.SIGKILL)
    try:
        assert status(loaded, alias)[0].operation.state == COPYING
        killed = contents(milvus, new, "last_embedded_at")
        assert 0 < len(killed) < rows
        assert failed(loaded) == set()

        # ingestion goes on meanwhile: a document shrinks, one goes, one comes
        (corpus / "kite.txt").write_text(text_of("kite", 5))
        (corpus / "string.txt").unlink()
        (corpus / "anchor.txt").write_text(text_of("anchor", 9))
        ingest(load(loaded.file), milvus, alias, [corpus], prune=True)

        copied = run(load(loaded.file), milvus, alias)
        assert copied.read_by == "segments"
        # what the killed run wrote, and is still as it was, is not embedded again
        now = contents(milvus, new, "last_embedded_at")
        same = dict(contents(milvus, new).items() & texts.items()).keys()
        kept = killed.keys() & same
        assert {key: now[key] for key in kept} == {key: killed[key] for key in kept} != {}
        assert contents(milvus, new) == contents(milvus, old)
        assert_embedded(loaded, milvus, new)

        with Resolving(loaded, milvus, alias) as client:
            report = cutover(load(loaded.file), milvus, alias)
            assert report.exit_code == 0, report.operation.gates
            assert milvus.alias_owner(alias) == new
            back = rollback(load(loaded.file), milvus, alias)
            assert back.operation.state == ROLLED_BACK
            assert back.seconds is not None
            assert milvus.alias_owner(alias) == old
            assert failed(loaded) == set()
            client.wait_for(old)
            assert cutover(load(loaded.file), milvus, alias).exit_code == 0
            client.wait_for(new)
        assert client.pairs <= {(old, "hashing-char@1", 96), (new, "hashing-word@1", 64)}
        assert len(client.pairs) == 2

        # the spec is not edited yet: everything goes by the registry, and drift names the lines
        assert failed(loaded) == {"reembed.spec"}
        found = search(load(loaded.file), milvus, alias, "the anchor of number 3")
        assert (found.collection, found.model) == (new, "hashing-word@1")
        (corpus / "late.txt").write_text(text_of("late", 3))
        assert ingest(load(loaded.file), milvus, alias, [corpus]).collection == new
        with pytest.raises(ReembedRefused, match="model: hashing-char@1 -> model: hashing-word@1"):
            finish(load(loaded.file), milvus, alias)

        text = loaded.file.read_text()
        text = text.replace(f"name: {old}", f"name: {new}")
        loaded.file.write_text(text.replace("model: hashing-char@1", "model: hashing-word@1"))
        assert failed(loaded) == set()
        with pytest.raises(ReembedRefused, match="is kept until"):
            finish(load(loaded.file), milvus, alias)
        done = finish(load(loaded.file), milvus, alias, now=now_ms() + 3_600_001)
        assert done.operation.state == FINISHED
        late = milvus.count(new, filter='doc_id == "late.txt"')
        assert (done.rows, done.gone, done.accepted) == (milvus.count(new) - late, 0, 0)
        assert not milvus.has_collection(old)
        assert failed(loaded) == set()
        assert ingest(load(loaded.file), milvus, alias, [corpus]).rows_written == 0
    finally:
        if milvus.alias_owner(alias) == new:
            milvus.drop_alias(alias)
        milvus.drop_collection(new)
