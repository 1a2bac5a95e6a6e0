"""What a physical backup of a real server holds: everything, up to one instant."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kitestring.model.access import Privilege
from kitestring.model.backup import BackupManifest
from kitestring.model.collection import Field, Index, Schema
from tests.verbs import called, started
from tests.waiting import compacted, ended, until

if TYPE_CHECKING:
    from kitestring.backup.catalog import Catalog
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState

pytestmark = pytest.mark.server
DIM = 8
PLAIN = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64),
        Field("v", "FLOAT_VECTOR", dim=DIM),
        Field("version", "INT64"),
    )
)
EVERY_SCALAR = (
    Field("flag", "BOOL"),
    Field("i8", "INT8"),
    Field("i16", "INT16"),
    Field("i32", "INT32"),
    Field("i64", "INT64"),
    Field("ratio", "FLOAT"),
    Field("exact", "DOUBLE"),
    Field("text", "VARCHAR", max_length=200),
    Field("json", "JSON"),
    Field("longs", "ARRAY", element_type="INT64", max_capacity=10),
    Field("floats", "ARRAY", element_type="FLOAT", max_capacity=10),
    Field("words", "ARRAY", element_type="VARCHAR", max_length=50, max_capacity=10),
    Field("flags", "ARRAY", element_type="BOOL", max_capacity=10),
)
TENANTS = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64),
        Field("v", "FLOAT_VECTOR", dim=DIM),
        Field("tenant", "VARCHAR", max_length=64, partition_key=True),
        *EVERY_SCALAR,
    ),
    dynamic=True,
)
BINARY = Schema(
    (
        Field("id", "INT64", primary=True),
        Field("v", "BINARY_VECTOR", dim=64),
        *EVERY_SCALAR,
    )
)
HNSW = Index("v", "v", "HNSW", "L2", {"M": "8", "efConstruction": "64"})
BIN = Index("v", "v", "BIN_IVF_FLAT", "HAMMING", {"nlist": "16"})
TRIE = Index("of_text", "text", "Trie")


def scalars(n: int) -> dict[str, Any]:
    return {
        "flag": n % 2 == 0,
        "i8": n % 256 - 128,
        "i16": n % 60_000 - 30_000,
        "i32": -n,
        "i64": n << 40,
        "ratio": n / 7,
        "exact": n / 7,
        "text": f"text é {n}",
        "json": {"n": n, "deep": [1, {"q": "ü"}]},
        "longs": list(range(-1, n % 5)),
        "floats": [i / 3 for i in range(n % 4)],
        "words": [f"w{i}" for i in range(n % 3)],
        "flags": [i % 2 == 0 for i in range(n % 3)],
    }


def tenants(start: int, stop: int) -> list[dict[str, Any]]:
    return [
        {"id": f"k{n:05d}", "v": [float(n), *[0.5] * (DIM - 1)], "tenant": f"t{n % 7}",
         **scalars(n), "extra": f"e{n}"}
        for n in range(start, stop)
    ]  # fmt: skip


def bits(start: int, stop: int) -> list[dict[str, Any]]:
    return [
        {"id": n - 50, "v": np.int64(n * 7919).tobytes(), **scalars(n)} for n in range(start, stop)
    ]


@pytest.fixture
def make(milvus: MilvusServer, unique: Callable[[str], str]) -> Iterator[Callable[..., str]]:
    """Makes a collection, which is dropped afterwards."""
    made: list[str] = []

    def create(schema: Schema, **options: Any) -> str:
        name = unique("c")
        made.append(name)
        milvus.create_collection(name, schema, **options)
        return name

    yield create
    for name in made:
        if milvus.has_collection(name):
            for alias in milvus.describe(name).aliases:
                milvus.drop_alias(alias)
            milvus.drop_collection(name)


def catalog_of(spec_file: Path) -> Catalog:
    from kitestring.backup.catalog import open_catalog
    from kitestring.spec.load import load

    return open_catalog(load(spec_file))


def backed_up(spec_file: Path, milvus: MilvusServer, *names: str, **options: Any) -> BackupManifest:
    from kitestring.backup.create import create_backup
    from kitestring.spec.load import load

    return create_backup(load(spec_file), milvus, collections=names, **options)


def test_everything_is_in(
    milvus: MilvusServer, make: Callable[..., str], spec_file: Path, unique: Callable[[str], str]
) -> None:
    from kitestring.backup.latency import search_probe
    from kitestring.backup.surroundings import ACCESS
    from kitestring.backup.verify import verify
    from kitestring.model.digest import digest_batches

    shared = make(TENANTS, shards=2, consistency="Session")
    binary = make(BINARY, partitions=["_default", "north"])
    milvus.admin.alter_collection(binary, {"collection.ttl.seconds": "86400"})
    for name, indexes in ((shared, (HNSW, TRIE)), (binary, (BIN,))):
        for index in indexes:
            milvus.create_index(name, index)
        milvus.load(name)
    milvus.create_alias(shared, alias := unique("a"))
    milvus.insert(shared, tenants(0, 900))
    milvus.upsert(shared, tenants(100, 250))
    milvus.delete(shared, ["k00007", "k00008"])
    milvus.insert(binary, bits(0, 300))
    milvus.delete(binary, [-50, 0])
    made = backed_up(spec_file, milvus, shared, binary)
    for name, key, schema in ((shared, "id", TENANTS), (binary, "id", BINARY)):
        found = next(c for c in made.collections if c.name == name)
        there = milvus.describe(name)
        columns = [f.name for f in schema.fields] + ["$meta"] * schema.dynamic
        assert found.digest == digest_batches(key, milvus.scan(name, columns))
        assert found.schema == there.schema
        assert found.indexes == tuple(i.index for i in there.indexes)
        assert (found.shards, found.consistency) == (there.shards, there.consistency)
        assert found.partitions == there.partitions
        assert dict(found.properties) == dict(there.properties)
        assert found.loaded
    assert {c.name: c.digest.rows for c in made.collections} == {shared: 898, binary: 298}
    by_name = {c.name: c for c in made.collections}
    assert set(by_name[shared].deleted_keys) == {"k00007", "k00008"}
    assert set(by_name[binary].deleted_keys) == {"-50", "0"}
    assert (by_name[shared].aliases, len(by_name[shared].partitions) > 1) == ((alias,), True)
    assert by_name[binary].properties["collection.ttl.seconds"] == "86400"
    assert made.database == "default"
    assert made.access is not None or ACCESS in made.excluded
    assert verify(catalog_of(spec_file), made.id).passed
    probe = search_probe(milvus, [milvus.describe(shared)])
    assert probe is not None
    assert probe() > 0
    # nothing was written since: nothing is copied, nothing is read
    again = backed_up(spec_file, milvus, shared, binary)
    assert (again.copied_bytes, again.reused_bytes) == (0, made.bytes)
    assert [c.digest for c in again.collections] == [c.digest for c in made.collections]
    # and keys alone come to the same keys
    keys = backed_up(spec_file, milvus, shared, binary, read_back="keys")
    assert [c.digest.keys for c in keys.collections] == [c.digest.keys for c in made.collections]


def test_access_is_read_by_who_may(tmp_path: Path, stack: StackState) -> None:
    from kitestring.backup.surroundings import ACCESS, read_surroundings
    from kitestring.clients.milvus.client import MilvusServer as Server
    from kitestring.local import running

    search = Privilege("Collection", "docs", "Search")
    with running(tmp_path / "milvus", timeout=120, authorization=True, remove=True) as state:
        with Server(state.uri, token="root:Milvus", timeout=20) as server:
            server.admin.create_role("reader")
            server.admin.grant("reader", search)
            server.admin.create_user("ann", "a-password-1")
            server.admin.give_role("ann", "reader")
            server.admin.create_database("other")
            found = read_surroundings(server)
        assert found.access is not None
        assert found.access.users["ann"] == ("reader",)
        assert search in found.access.roles["reader"]
        assert (found.database, found.left_out) == ("default", ("database other",))
        with Server(state.uri, token="ann:a-password-1", timeout=20) as server:
            found = read_surroundings(server)
        assert (found.access, ACCESS in found.left_out) == (None, True)


@dataclass
class Write:
    """What one writer did to its keys: afterwards they have this version; None: they are gone."""

    version: int | None
    began: float  # ms since the epoch
    acknowledged: float


class Writer(threading.Thread):
    """Writes the same few keys again and again: insert, upsert, upsert, delete."""

    def __init__(self, uri: str, collection: str, number: int, stop: threading.Event) -> None:
        super().__init__(name=f"writer-{number}")
        self.uri, self.collection, self.stopped = uri, collection, stop
        self.keys = [f"w{number}-{n}" for n in range(6)]
        self.done: list[Write] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        from kitestring.clients.milvus.client import MilvusServer as Server

        try:
            with Server(self.uri, timeout=30) as server:
                turn = 0
                while not self.stopped.is_set():
                    self._write(server, turn)
                    turn += 1
        except Exception as error:  # noqa: BLE001 - it is raised by the test
            self.failure = error

    def _write(self, server: MilvusServer, turn: int) -> None:
        rows = [{"id": k, "v": [float(turn)] * DIM, "version": turn} for k in self.keys]
        began = time.time() * 1000
        if turn % 4 == 3:
            server.delete(self.collection, self.keys)
        elif turn % 4 == 0:
            server.insert(self.collection, rows)
        else:
            server.upsert(self.collection, rows)
        version = None if turn % 4 == 3 else turn
        self.done.append(Write(version, began, time.time() * 1000))

    def allowed(self, boundary: int, flushed: float) -> list[int | None]:
        """Versions that the keys may have at the boundary: that of the last write acknowledged
        before it, or of one that began before the flush was answered (ms since the epoch): the
        clock of a busy server may stand still for a while."""
        writes = list(self.done)
        before = [w for w in writes if w.acknowledged < boundary]
        under_way = [w for w in writes[len(before) :] if w.began <= flushed]
        return [before[-1].version if before else None, *(w.version for w in under_way)]


def test_the_boundary_is_one_instant_of_all_writers(
    milvus: MilvusServer, make: Callable[..., str], spec_file: Path, stack: StackState
) -> None:
    from kitestring.backup.pool import PoolReader
    from kitestring.segments.plan import plan_backup, read_parts

    name = make(PLAIN, shards=2)
    milvus.create_index(name, HNSW)
    milvus.load(name)
    stop = threading.Event()
    writers = [Writer(stack.uri, name, number, stop) for number in range(4)]
    for writer in writers:
        writer.start()
    rounds: list[tuple[int, float, dict[str, list[int]]]] = []
    flushed = 0.0

    def hook(line: str) -> None:
        nonlocal flushed
        if line.startswith(f"{name}:"):  # its plan, which follows the flush
            flushed = time.time() * 1000

    try:
        for turn in range(4):
            made = backed_up(spec_file, milvus, name, on_event=hook)
            collection = made.collections[0]
            reader = PoolReader(catalog_of(spec_file).store, collection.objects)
            found: dict[str, list[int]] = {}
            for batch in read_parts(reader, plan_backup(collection, made.boundary)):
                for row in batch.select(["id", "version"]).to_pylist():
                    found.setdefault(row["id"], []).append(row["version"])
            rounds.append((made.boundary, flushed, found))
            if turn == 1:
                compaction = milvus.compact(name)
    finally:
        stop.set()
        for writer in writers:
            writer.join(60)
    ended(milvus, compaction)
    assert [w.failure for w in writers] == [None] * 4
    seen = 0
    for boundary, flushed, found in rounds:
        for writer in writers:
            versions = {key: found.get(key, [None]) for key in writer.keys}
            allowed = [[version] for version in writer.allowed(boundary, flushed)]
            assert all(v in allowed for v in versions.values()), (boundary, versions, allowed)
            # a write is in with all its keys, or with none
            assert len({tuple(v) for v in versions.values()}) == 1, (boundary, versions)
            seen += 1
    writes = sum(len(w.done) for w in writers)
    print(f"{seen} states of {len(rounds)} boundaries, amid {writes} writes")
    assert writes > 20


def test_a_compaction_in_the_middle_of_a_copy_changes_nothing(
    milvus: MilvusServer, make: Callable[..., str], spec_file: Path
) -> None:
    from kitestring.model.digest import digest_batches

    name = make(PLAIN)
    milvus.create_index(name, HNSW)
    milvus.load(name)
    for turn in range(4):
        milvus.upsert(
            name,
            [
                {"id": f"k{n}", "v": [float(n)] * DIM, "version": turn}
                for n in range(50 * turn, 200)
            ],
        )
        milvus.flush(name)
    wanted = digest_batches("id", milvus.scan(name, ["id", "v", "version"]))
    done: list[str] = []

    def hook(line: str) -> None:
        if line.startswith(f"{name}:") and not done:
            done.append(line)
            compacted(milvus, name)

    made = backed_up(spec_file, milvus, name, on_event=hook)
    assert done
    assert made.collections[0].digest == wanted
    assert backed_up(spec_file, milvus, name).collections[0].digest == wanted


def test_an_object_that_vanishes_in_the_middle_of_a_copy_is_no_hole(
    milvus: MilvusServer, make: Callable[..., str], spec_file: Path, stack: StackState
) -> None:
    from kitestring.errors import KitestringError

    name = make(PLAIN)
    rows = [{"id": f"k{n}", "v": [float(n)] * DIM, "version": 0} for n in range(100)]
    milvus.insert(name, rows)
    taken: list[tuple[Path, bytes]] = []

    lines: list[str] = []

    def hook(line: str) -> None:
        lines.append(line)
        if line.startswith(f"{name}:") and not taken:
            number = milvus.describe(name).id
            fields = Path(stack.root_path, "insert_log", str(number))
            file = next(f for f in sorted(fields.rglob("*")) if f.is_file() and "/102/" in str(f))
            taken.append((file, file.read_bytes()))
            file.unlink()

    with pytest.raises(KitestringError) as failed:
        backed_up(spec_file, milvus, name, on_event=hook)
    assert taken
    assert any("flushing again" in line for line in lines)
    print(failed.value.message)
    assert catalog_of(spec_file).summaries() == []
    file, data = taken[0]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    assert backed_up(spec_file, milvus, name).rows == 100


def test_a_backup_is_watched_and_cancelled(
    milvus: MilvusServer, make: Callable[..., str], spec_file: Path
) -> None:
    from kitestring.backup.verify import verify

    name = make(PLAIN)
    random = np.random.default_rng(0)
    for start in range(0, 20_000, 5_000):
        vectors = random.standard_normal((5_000, DIM)).astype(np.float32).tolist()
        milvus.insert(
            name,
            [{"id": f"k{start + n}", "v": v, "version": n} for n, v in enumerate(vectors)],
        )

    def run(*arguments: str) -> tuple[int, str, str]:
        done = called(*arguments, "--spec", spec_file)
        return done.returncode, done.stdout, done.stderr

    assert run("backup", "watch")[0] == 0
    on = ("--spec", spec_file)
    slow = started("backup", "create", "-c", name, "--max-bytes-per-second", "2KiB", *on)
    try:
        assert slow.stderr is not None
        said = []
        for line in slow.stderr:
            said.append(line)
            if "segments," in line:
                break
        assert slow.poll() is None, said

        def looked() -> dict[str, Any]:
            code, out, _ = run("backup", "watch", "--once", "-o", "json")
            seen: dict[str, Any] = json.loads(out)
            assert (code, seen["status"]) == (0, "running")
            return seen["job"]  # type: ignore[no-any-return]

        until(lambda: looked()["bytes_total"] > 500_000)
        assert looked()["collection"] == name
        watcher = started("backup", "watch", *on)
        code, out, err = run("backup", "cancel")
        assert (code, "is stopped" in out) == (0, True), err
        slow.communicate(timeout=60)
        assert slow.returncode == 130
        out, err = watcher.communicate(timeout=60)
        assert (watcher.returncode, "cancelled" in out) == (1, True), (out, err)
    finally:
        slow.kill()
        slow.wait()
    assert run("backup", "cancel")[0] == 1
    assert catalog_of(spec_file).summaries() == []
    code, out, _ = run("backup", "create", "-c", name, "-o", "json")
    made = json.loads(out)
    assert (code, made["reuse_ratio"] < 1) == (0, True)  # the cancelled one had some already
    assert verify(catalog_of(spec_file), made["id"]).passed
    code, out, _ = run("backup", "create", "-c", name, "-o", "json")
    assert (code, json.loads(out)["reuse_ratio"]) == (0, 1.0)
    assert run("backup", "watch", "--once")[1].startswith("no backup runs")
