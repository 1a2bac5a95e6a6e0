"""Restore drills on real servers: a second one is started, filled, compared and torn down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import psutil
import pytest

from kitestring.backup.drill_history import open_history
from kitestring.cli import cli, run
from kitestring.drill.target import PREFIX
from kitestring.model.drill import DrillRecord

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.spec.loaded import LoadedSpec

pytestmark = pytest.mark.server
ROWS = 1200


@dataclass
class Backed:
    """A spec with one backed-up collection."""

    loaded: LoadedSpec
    name: str
    manifest: Any

    @property
    def pool(self) -> Path:
        return self.loaded.file.parent / "backups"

    def drill(self, *arguments: str) -> int:
        return run(cli, ["drill", "run", "--spec", str(self.loaded.file), *arguments], "kitestring")

    @property
    def newest(self) -> DrillRecord:
        return open_history(self.loaded).record("latest")


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


def rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    vectors = np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)
    return [
        {
            "id": f"{seed:02}-{i:06}",
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


@pytest.fixture
def backed(
    spec_for: Callable[..., LoadedSpec], milvus: MilvusServer, no_leftovers: Path
) -> Callable[..., Backed]:
    """A collection with rows, deletes, an alias and a backup."""
    from kitestring.backup.create import create_backup
    from kitestring.spec.schema import collection_schema, wanted_index

    def make(count: int = ROWS, collection: dict[str, Any] | None = None, **top: Any) -> Backed:
        name = f"drill_{uuid4().hex[:8]}"
        loaded = spec_for(
            {"name": name, "aliases": [f"{name}_now"], "search": {"params": {"ef": 128}}}
            | (collection or {}),
            **top,
        )
        spec = loaded.spec.collections[0]
        milvus.create_collection(name, collection_schema(loaded.spec, spec))
        milvus.create_index(name, wanted_index(spec.indexes[0]))
        milvus.insert(name, rows(count))
        milvus.flush(name)
        milvus.load(name)
        milvus.delete(name, [f"01-{i:06}" for i in range(min(20, count))])
        milvus.create_alias(name, f"{name}_now")
        return Backed(loaded, name, create_backup(loaded, milvus))

    return make


def state_of(milvus: MilvusServer) -> dict[str, Any]:
    """Everything of the source that a drill could change."""
    found = {}
    for name in milvus.list_collections():
        info = milvus.describe(name)
        found[name] = (info, milvus.count(name), milvus.segments(name))
    return found


def test_a_true_backup_passes_and_the_source_is_not_touched(
    backed: Callable[..., Backed], milvus: MilvusServer, capsys: pytest.CaptureFixture[str]
) -> None:
    made = backed()
    before = state_of(milvus)
    assert made.drill("-o", "json") == 0
    record = made.newest
    assert json.loads(capsys.readouterr().out)["id"] == record.id
    assert record.passed
    assert record.backup == made.manifest.id
    assert [p.name for p in record.phases] == [
        "target",
        "copy",
        "import",
        "index",
        "load",
        "first_query",
    ]
    assert all(p.seconds >= 0 for p in record.phases)
    assert record.rto_seconds == pytest.approx(
        sum(p.seconds for p in record.phases if p.name != "target")
    )
    assert record.rto_seconds < (record.finished_at - record.started_at) / 1000
    assert record.rpo_seconds == (record.started_at - made.manifest.boundary) / 1000
    (score,) = record.collections
    assert (score.rows_expected, score.rows_restored) == (ROWS - 20, ROWS - 20)
    assert (score.keys_match, score.content_match) == (True, True)
    assert (score.deleted_present, score.differences) == (0, ())
    assert len(made.manifest.collections[0].deleted_keys) == 20
    assert score.recall is not None
    assert (score.recall.k, score.recall.queries) == (10, 50)
    assert score.recall.mean > 0.95
    assert score.recall.against_source is not None
    assert score.recall.against_source > 0.9
    assert "stored vectors as queries" in score.recall_reason
    assert state_of(milvus) == before


def test_a_damaged_object_fails_the_drill(backed: Callable[..., Backed]) -> None:
    made = backed(200)
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
    assert "damaged" in " ".join(record.notes)
    assert not any(o.met for o in record.objectives if o.name in ("rto", "rows", "content"))


def test_a_row_that_the_backup_lost_fails_the_drill(backed: Callable[..., Backed]) -> None:
    """The pool is whole, but the manifest promises more rows than the files hold."""
    from kitestring.backup.catalog import open_catalog, summarize
    from kitestring.model.codec import to_plain

    made = backed(200)
    (collection,) = made.manifest.collections
    wrong = replace(
        made.manifest,
        collections=(
            replace(
                collection, digest=replace(collection.digest, rows=collection.digest.rows + 50)
            ),
        ),
    )
    publish(made, wrong, open_catalog, summarize, to_plain)
    assert made.drill() == 2
    assert "rows, not 230" in " ".join(made.newest.notes)


def test_content_that_is_not_the_manifests_fails_the_drill(backed: Callable[..., Backed]) -> None:
    from kitestring.backup.catalog import open_catalog, summarize
    from kitestring.model.codec import to_plain

    made = backed(200)
    (collection,) = made.manifest.collections
    wrong = replace(
        made.manifest,
        collections=(
            replace(
                collection,
                digest=replace(collection.digest, content="0" * 32),
                aliases=(*collection.aliases,),
                deleted_keys=("01-000150",),
            ),
        ),
    )
    publish(made, wrong, open_catalog, summarize, to_plain)
    assert made.drill() == 2
    missed = {o.name for o in made.newest.objectives if not o.met}
    assert missed == {"content", "deleted keys"}


def publish(made: Backed, manifest: Any, *parts: Any) -> None:
    """Puts another manifest and its summary in the place of the backup's."""
    open_catalog, summarize, to_plain = parts
    data = json.dumps(to_plain(manifest)).encode()
    store = open_catalog(made.loaded).store
    store.put(f"backups/{manifest.id}/manifest.json", data)
    summary = summarize(manifest, data)
    store.put(f"backups/{manifest.id}/summary.json", json.dumps(to_plain(summary)).encode())


def test_a_missed_objective_is_exit_code_2_and_nothing_else_is_wrong(
    backed: Callable[..., Backed], tmp_path: Path
) -> None:
    made = backed(200, objectives={"rpo": "1ms", "rto": "10m"})
    page = tmp_path / "drill.html"
    assert made.drill("-o", "html", "--out", str(page)) == 2
    assert [o.name for o in made.newest.objectives if not o.met] == ["rpo"]
    assert "missed" in page.read_text()


def test_without_objectives_the_content_alone_is_judged(backed: Callable[..., Backed]) -> None:
    made = backed(200, objectives=None)
    assert made.drill() == 0
    assert "no objectives in the spec" in " ".join(made.newest.notes)


def test_golden_queries_are_asked_where_there_are_some(
    backed: Callable[..., Backed], tmp_path: Path
) -> None:
    golden = tmp_path / "golden.yaml"
    golden.write_text(
        "version: 1\nqueries:\n"
        + "".join(f"  - {{query: what is number {i}, relevant: [d]}}\n" for i in range(12))
    )
    made = backed(400, collection={"golden": str(golden)})
    assert made.drill() == 0
    (score,) = made.newest.collections
    assert score.recall_reason == "12 golden queries"
    assert score.recall is not None
    assert score.recall.queries == 12


def test_a_source_that_is_down_does_not_stop_a_drill(backed: Callable[..., Backed]) -> None:
    made = backed(200)
    text = made.loaded.file.read_text()
    made.loaded.file.write_text(
        text.replace(
            "embedded: " + str(made.loaded.spec.connection.embedded), "uri: http://127.0.0.1:9"
        ).replace("type: embedded", "type: local\n  path: x")
    )
    assert "127.0.0.1:9" in made.loaded.file.read_text()
    assert made.drill() == 0
    (score,) = made.newest.collections
    assert score.recall is not None
    assert score.recall.against_source is None
    assert "source's own answers were not compared" in " ".join(made.newest.notes)


def test_nothing_to_restore_is_an_error_with_a_hint(
    spec_for: Callable[..., LoadedSpec], capsys: pytest.CaptureFixture[str], no_leftovers: Path
) -> None:
    loaded = spec_for({"name": f"drill_{uuid4().hex[:8]}"})
    arguments = ["drill", "run", "--spec", str(loaded.file)]
    assert run(cli, arguments, "kitestring") == 1
    assert "kitestring backup create" in capsys.readouterr().err
    assert run(cli, [*arguments, "--out", "/nowhere/x"], "kitestring") == 64
    assert open_history(loaded).ids() == []


@pytest.mark.parametrize("moment", ["starting a second server", "copy:", "import:", "comparing"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_process_and_no_directory(
    backed: Callable[..., Backed], no_leftovers: Path, moment: str, number: int
) -> None:
    if number == signal.SIGTERM and moment != "import:":
        pytest.skip("SIGTERM takes the same way out: one moment is enough")
    made = backed(200)
    drill = subprocess.Popen(
        [sys.executable, "-m", "kitestring", "drill", "run", "--spec", str(made.loaded.file)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(no_leftovers)},
    )
    assert drill.stderr is not None
    for line in drill.stderr:
        if line.startswith(moment):
            break
    else:
        pytest.fail(f"the drill never said `{moment}`")
    if moment.startswith("starting"):
        until(lambda: servers_below(no_leftovers))
    drill.send_signal(number)
    _, error = drill.communicate(timeout=60)
    assert drill.returncode == 130, error
    assert "interrupted" in error
    assert "Traceback" not in error
    assert not made.newest.passed
    assert "interrupted" in " ".join(made.newest.notes)


def until(condition: Callable[[], object], timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_history_is_listed_and_shown(
    backed: Callable[..., Backed], capsys: pytest.CaptureFixture[str]
) -> None:
    made = backed(200)
    assert made.drill() == 0
    capsys.readouterr()
    spec = ["--spec", str(made.loaded.file)]
    assert run(cli, ["drill", "list", *spec], "kitestring") == 0
    assert made.newest.id in capsys.readouterr().out
    assert run(cli, ["drill", "show", "latest", *spec, "-o", "json"], "kitestring") == 0
    assert json.loads(capsys.readouterr().out)["id"] == made.newest.id
    (open_history(made.loaded).folder / f"{made.newest.id}.json").write_text("{")
    assert run(cli, ["drill", "list", *spec], "kitestring") == 1
    assert "unreadable" in capsys.readouterr().out


def test_keep_leaves_a_server_that_answers_and_says_how_to_stop_it(
    backed: Callable[..., Backed], no_leftovers: Path
) -> None:
    import shutil

    from kitestring import local
    from kitestring.clients.milvus.client import MilvusServer

    made = backed(200)
    try:
        assert made.drill("--keep") == 0
        (folder,) = no_leftovers.glob(f"{PREFIX}*")
        state = local.status(folder / "milvus")
        assert state is not None
        assert str(folder / "milvus") in made.newest.notes[-1]
        with MilvusServer(state.uri) as server:
            assert server.count(made.name) == 180
    finally:
        for folder in no_leftovers.glob(f"{PREFIX}*"):
            local.down(folder / "milvus")
            shutil.rmtree(folder)
