"""Restore drills on real servers: a second one is started, filled, compared and torn down."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import psutil
import pytest
import yaml

from kitestring.backup.drill_history import open_history
from kitestring.cli import cli, run
from kitestring.drill.target import PREFIX
from kitestring.model.backup import BackupManifest
from kitestring.model.drill import DrillRecord
from kitestring.spec.load import load
from tests.waiting import until

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState

pytestmark = pytest.mark.server
ROWS, DELETED = 1200, 20


@dataclass
class Backed:
    """A spec with one backed-up collection."""

    document: dict[str, Any]
    file: Path
    name: str
    manifest: BackupManifest

    def variant(self, folder: Path, *, copy: bool = False, **changes: Any) -> Backed:
        """The same backup under another spec, with a history of its own.

        `copy` copies the backup store too, so that it can be damaged.
        """
        folder.mkdir()
        document = self.document | {"state": "state"} | changes
        if copy:
            shutil.copytree(self.pool, folder / "backups")
            document["backup"] = {"store": {"type": "local", "path": "backups"}}
        document = {key: value for key, value in document.items() if value is not None}
        return replace(self, document=document, file=written(folder / "cluster.yaml", document))

    @property
    def pool(self) -> Path:
        return self.file.parent / self.document["backup"]["store"]["path"]

    def drill(self, *arguments: str) -> int:
        return run(cli, ["drill", "run", "--spec", str(self.file), *arguments], "kitestring")

    @property
    def newest(self) -> DrillRecord:
        return open_history(load(self.file)).record("latest")


def written(file: Path, document: dict[str, Any]) -> Path:
    with file.open("w") as out:
        yaml.safe_dump(document, out)
    return file


@pytest.fixture
def no_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory for targets; nothing of a drill may be left there or running."""
    folder = tmp_path / "targets"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield folder
    assert list(folder.iterdir()) == []
    assert servers_below(folder) == []
    monkeypatch.setattr("tempfile.tempdir", None)


def servers_below(folder: Path) -> list[int]:
    """Processes that work below the folder."""
    return [
        process.info["pid"]
        for process in psutil.process_iter(["pid", "cwd"])
        if (process.info["cwd"] or "").startswith(str(folder))
    ]


def rows(count: int) -> list[dict[str, Any]]:
    vectors = np.random.default_rng(1).normal(size=(count, 64)).astype(np.float32)
    return [
        {
            "id": f"{i:06}",
            "embedding": vectors[i].tolist(),
            "doc_id": f"d{i % 7}",
            "chunk_index": i,
            "tenant_id": "t",
            "text": f'passage {i} \u00e4\u00f6 "quoted"',
            "content_hash": f"{i:x}",
            "embedding_model": "hashing-word@1",
            "chunker": "sentence/200/20/1",
            "last_embedded_at": i,
            "page": i,
        }
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def whole(
    stack: StackState,
    stack_data: Path,
    milvus: MilvusServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Backed]:
    """A collection with rows, deletes, an alias and a backup."""
    from kitestring.backup.create import create_backup
    from kitestring.spec.schema import collection_schema, wanted_index

    assert stack.port
    name = f"drill_{uuid4().hex[:8]}"
    folder = tmp_path_factory.mktemp("drill")
    document = {
        "version": 1,
        "cluster": {"name": "test", "environment": "test"},
        "connection": {"embedded": str(stack_data), "timeout": "20s"},
        "state": "state",
        "storage": {"type": "embedded"},
        "models": [
            {"provider": "hashing", "name": "hashing-word", "version": "1", "dimension": 64}
        ],
        "collections": [
            {
                "name": name,
                "model": "hashing-word@1",
                "chunking": {"strategy": "sentence", "size": 200, "overlap": 20, "version": 1},
                "indexes": [
                    {
                        "field": "embedding",
                        "type": "HNSW",
                        "metric": "COSINE",
                        "params": {"M": 16, "efConstruction": 100},
                    }
                ],
                "search": {"params": {"ef": 128}},
                "aliases": [f"{name}_now"],
            }
        ],
        "backup": {"store": {"type": "local", "path": str(folder / "backups")}},
        "objectives": {"rpo": "24h", "rto": "10m"},
    }
    loaded = load(written(folder / "cluster.yaml", document))
    spec = loaded.spec.collections[0]
    milvus.create_collection(name, collection_schema(loaded.spec, spec))
    milvus.create_index(name, wanted_index(spec.indexes[0]))
    milvus.insert(name, rows(ROWS))
    milvus.flush(name)
    milvus.load(name)
    milvus.delete(name, [f"{i:06}" for i in range(DELETED)])
    milvus.create_alias(name, f"{name}_now")
    yield Backed(document, loaded.file, name, create_backup(loaded, milvus))
    milvus.drop_alias(f"{name}_now")
    milvus.drop_collection(name)


def state_of(milvus: MilvusServer) -> dict[str, Any]:
    """Everything of the source that a drill could change."""
    return {
        name: (milvus.describe(name), milvus.count(name), milvus.segments(name))
        for name in milvus.list_collections()
    }


def test_a_true_backup_passes_and_the_source_is_not_touched(
    whole: Backed,
    milvus: MilvusServer,
    no_leftovers: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = state_of(milvus)
    assert whole.drill("-o", "json") == 0
    record = whole.newest
    assert json.loads(capsys.readouterr().out)["id"] == record.id
    assert record.passed
    assert record.backup == whole.manifest.id
    assert [p.name for p in record.phases] == [
        "target", "copy", "import", "load", "first_answer", "index",
    ]  # fmt: skip
    took = {p.name: p.seconds for p in record.phases}
    assert record.rto_seconds == pytest.approx(
        sum(took[n] for n in ("copy", "import", "load", "first_answer"))
    )
    assert record.full_seconds == pytest.approx(record.rto_seconds + took["index"])
    assert record.full_seconds < (record.finished_at - record.started_at) / 1000
    assert (record.bytes, record.sampled) == (whole.manifest.bytes, None)
    assert record.rpo_seconds == (record.started_at - whole.manifest.boundary) / 1000
    (score,) = record.collections
    assert (score.rows_expected, score.rows_restored) == (ROWS - DELETED, ROWS - DELETED)
    assert (score.keys_match, score.content_match) == (True, True)
    assert (score.deleted_present, score.differences) == (0, ())
    assert len(whole.manifest.collections[0].deleted_keys) == DELETED
    assert score.recall is not None
    assert (score.recall.k, score.recall.queries) == (10, 50)
    assert score.recall.mean > 0.95
    assert score.recall.against_source is not None
    assert score.recall.against_source > 0.9
    assert "stored vectors as queries" in score.recall_reason
    assert state_of(milvus) == before

    spec = ["--spec", str(whole.file)]
    assert run(cli, ["drill", "list", *spec], "kitestring") == 0
    assert record.id in capsys.readouterr().out
    assert run(cli, ["drill", "show", "latest", *spec, "-o", "json"], "kitestring") == 0
    assert json.loads(capsys.readouterr().out)["id"] == record.id


def test_a_damaged_object_fails_the_drill(
    whole: Backed, no_leftovers: Path, tmp_path: Path
) -> None:
    made = whole.variant(tmp_path / "v", copy=True)
    stored = max(
        (o for s in made.manifest.collections[0].segments for o in s.insert), key=lambda o: o.size
    )
    path = made.pool / stored.key
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(bytes(data))
    assert made.drill() == 2
    record = made.newest
    assert not record.passed
    assert record.rto is None  # nothing answered
    assert "damaged" in " ".join(record.notes)
    assert not any(o.met for o in record.objectives if o.name in ("rto", "rows", "content"))


def test_rows_that_the_backup_lost_fail_the_drill(
    whole: Backed, no_leftovers: Path, tmp_path: Path
) -> None:
    """The pool is whole, but the manifest promises more rows than the files hold."""
    made = whole.variant(tmp_path / "v", copy=True)
    (collection,) = made.manifest.collections
    more = replace(collection.digest, rows=collection.digest.rows + 1)
    promise(made, replace(collection, digest=more))
    assert made.drill() == 2
    assert f"{ROWS - DELETED:,} rows, not {ROWS - DELETED + 1:,}" in " ".join(made.newest.notes)


def test_content_that_is_not_the_manifests_fails_the_drill(
    whole: Backed, no_leftovers: Path, tmp_path: Path
) -> None:
    made = whole.variant(tmp_path / "v", copy=True)
    (collection,) = made.manifest.collections
    promise(
        made,
        replace(
            collection,
            digest=replace(collection.digest, content="0" * 32),
            deleted_keys=("000150",),
        ),
    )
    assert made.drill() == 2
    missed = {o.name for o in made.newest.objectives if not o.met}
    assert missed == {"content", "deleted keys"}


def promise(made: Backed, collection: Any) -> None:
    """Puts another manifest and its summary in the place of the backup's."""
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.summaries import summarize
    from kitestring.model.codec import to_plain

    manifest = replace(made.manifest, collections=(collection,))
    data = json.dumps(to_plain(manifest)).encode()
    store = open_catalog(load(made.file)).store
    store.put(f"backups/{manifest.id}/manifest.json", data)
    summary = summarize(manifest, data)
    store.put(f"backups/{manifest.id}/summary.json", json.dumps(to_plain(summary)).encode())


def test_a_missed_objective_is_exit_code_2_and_golden_queries_are_asked(
    whole: Backed, no_leftovers: Path, tmp_path: Path
) -> None:
    golden = tmp_path / "golden.yaml"
    golden.write_text(
        "version: 1\nqueries:\n"
        + "".join(f"  - {{query: what is number {i}, relevant: [d]}}\n" for i in range(12))
    )
    made = whole.variant(
        tmp_path / "v",
        objectives={"rpo": "24h", "rto": "1ms"},
        collections=[whole.document["collections"][0] | {"golden": str(golden)}],
    )
    page = tmp_path / "drill.html"
    assert made.drill("-o", "html", "--out", str(page)) == 2
    assert [o.name for o in made.newest.objectives if not o.met] == ["rto"]
    assert "missed" in page.read_text()
    (score,) = made.newest.collections
    assert score.recall_reason == "12 golden queries"
    assert score.recall is not None
    assert score.recall.queries == 12


def test_without_objectives_and_without_a_source_the_content_is_judged(
    whole: Backed, no_leftovers: Path, tmp_path: Path
) -> None:
    made = whole.variant(
        tmp_path / "v",
        connection={"uri": "http://127.0.0.1:9", "timeout": "1s"},
        storage={"type": "local", "path": "nowhere"},
        objectives=None,
    )
    assert made.drill() == 0
    record = made.newest
    assert [o.name for o in record.objectives] == [
        "rows", "content", "deleted keys", "definitions", "access",
    ]  # fmt: skip
    (score,) = record.collections
    assert score.recall is not None
    assert score.recall.against_source is None
    assert "source's own answers were not compared" in " ".join(record.notes)
    assert "no objectives in the spec" in " ".join(record.notes)


def test_collections_that_no_spec_describes_are_drilled_too(
    whole: Backed, milvus: MilvusServer, no_leftovers: Path, tmp_path: Path
) -> None:
    """One with keys that are there twice, one that was neither indexed nor loaded."""
    from kitestring.backup.create import create_backup
    from kitestring.model.collection import Field, Index, Schema

    double, bare = (f"drill_{uuid4().hex[:8]}" for _ in range(2))
    schema = Schema(
        (Field("pk", "INT64", primary=True), Field("v", "FLOAT_VECTOR", dim=8)), dynamic=True
    )
    vectors = np.random.default_rng(2).normal(size=(300, 8)).astype(np.float32)
    written = [{"pk": i, "v": v.tolist(), "n": i} for i, v in enumerate(vectors)]
    try:
        for name in (double, bare):
            milvus.create_collection(name, schema)
            milvus.insert(name, written)
        milvus.insert(double, written[:5])
        milvus.create_index(double, Index("v", "v", "IVF_FLAT", "L2", {"nlist": "16"}))
        milvus.load(double)
        made = whole.variant(
            tmp_path / "v",
            collections=[],
            models=[],
            backup={"store": {"type": "local", "path": "backups"}},
        )
        create_backup(load(made.file), milvus, collections=[double, bare])
    finally:
        milvus.drop_collection(double)
        milvus.drop_collection(bare)
    assert made.drill() == 0
    scores = {score.name: score for score in made.newest.collections}
    assert (scores[double].rows_expected, scores[double].rows_restored) == (305, 305)
    assert all(s.keys_match and s.content_match and not s.differences for s in scores.values())
    assert scores[double].recall is not None
    assert scores[double].recall.mean > 0.9
    assert scores[double].recall.against_source is None  # it is gone there
    assert scores[bare].recall_reason == "no index on `v`"
    notes = " ".join(made.newest.notes)
    assert "5 rows have the key of another one" in notes
    assert f"{bare}: loaded on the target for reading only" in notes


def test_nothing_to_restore_is_an_error_with_a_hint(
    whole: Backed, no_leftovers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = whole.variant(tmp_path / "v", backup={"store": {"type": "local", "path": "empty"}})
    assert made.drill() == 1
    assert "kitestring backup create" in capsys.readouterr().err
    assert made.drill("--out", "/nowhere/x") == 64
    assert made.drill("--backup", "20200101T000000Z-000000") == 1
    other = whole.variant(tmp_path / "w", cluster={"name": "other", "environment": "test"})
    assert other.drill() == 1
    assert "no backup of `other`" in capsys.readouterr().err
    assert open_history(load(made.file)).ids() == []


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("starting a second server", signal.SIGINT),
        ("import:", signal.SIGTERM),
        ("comparing", signal.SIGINT),
    ],
)
def test_an_interrupt_leaves_no_process_and_no_directory(
    whole: Backed, no_leftovers: Path, tmp_path: Path, moment: str, number: int
) -> None:
    made = whole.variant(tmp_path / "v")
    drill = subprocess.Popen(
        [sys.executable, "-m", "kitestring", "drill", "run", "--spec", str(made.file)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(no_leftovers), "PYTHONFAULTHANDLER": "1"},
    )
    assert drill.stderr is not None
    if not any(line.startswith(moment) for line in drill.stderr):
        pytest.fail(f"the drill never said `{moment}`")
    if moment.startswith("starting"):
        until(lambda: servers_below(no_leftovers))
    drill.send_signal(number)
    try:
        _, error = drill.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        drill.send_signal(signal.SIGABRT)  # which makes it print where it hangs
        _, error = drill.communicate()
    assert drill.returncode == 130, error
    assert "interrupted" in error
    assert "Traceback" not in error
    assert not made.newest.passed
    assert "interrupted" in " ".join(made.newest.notes)


def test_keep_leaves_a_server_that_answers_and_says_how_to_stop_it(
    whole: Backed, no_leftovers: Path, tmp_path: Path
) -> None:
    from kitestring import local
    from kitestring.clients.milvus.client import MilvusServer

    made = whole.variant(tmp_path / "v")
    try:
        assert made.drill("--keep") == 0
        (folder,) = no_leftovers.glob(f"{PREFIX}*")
        state = local.status(folder / "milvus")
        assert state is not None
        assert str(folder / "milvus") in " ".join(made.newest.notes)
        with MilvusServer(state.uri) as server:
            assert server.count(made.name) == ROWS - DELETED
    finally:
        for folder in no_leftovers.glob(f"{PREFIX}*"):
            local.down(folder / "milvus")
            shutil.rmtree(folder)
