"""A server in memory that keeps its segments in files as a real one does."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kitestring.clients.milvus.protocol import Flushed, Hit, ImportState
from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import CollectionNotFound, MilvusError
from kitestring.model.arrow import arrow_schema
from kitestring.model.collection import (
    CollectionInfo,
    Field,
    Index,
    IndexState,
    LoadedSegment,
    Partition,
    Schema,
    Segment,
)
from kitestring.model.digest import DYNAMIC_FIELD
from kitestring.segments.binlog import INSERT, open_column
from kitestring.segments.deltas import parse_deletes
from kitestring.segments.write import delta_log, insert_log
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64, field_id=100),
        Field("embedding", "FLOAT_VECTOR", dim=4, field_id=101),
        Field("text", "VARCHAR", max_length=100, field_id=102),
        Field("embedding_model", "VARCHAR", max_length=64, field_id=103),
    ),
    dynamic=True,
)
INDEX = Index("embedding", "embedding", "HNSW", "COSINE", {"M": "8"})
SPEC = """\
version: 1
cluster: {name: unit}
connection: {uri: "http://127.0.0.1:19530"}
state: state
storage: {type: local, path: milvus}
backup: {store: {type: local, path: backups}}
"""


@dataclass
class Written:
    """A segment that the fake keeps."""

    id: int
    rows: list[dict[str, Any]]
    state: str = "Flushed"
    seen: int = 0  # deletes of the table that are in its delta logs, where they concern it


@dataclass
class Table:
    info: CollectionInfo
    segments: list[Written] = field(default_factory=list)
    growing: list[dict[str, Any]] = field(default_factory=list)
    deletes: list[tuple[str, int]] = field(default_factory=list)


class FakeServer:
    """Flushes, compacts and imports segment files in a store, with 2.3's semantics."""

    uri = "memory"

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.tables: dict[str, Table] = {}
        self.alias: dict[str, str] = {}
        self.ids = itertools.count(1000)
        self.ticks = itertools.count(1)
        self.after_flush: Callable[[], None] = lambda: None
        self.import_fails = ""
        self.import_loses = 0
        self.blind = False  # searches find nothing
        self.skew = 0
        self.tasks: dict[int, ImportState] = {}

    # --- rows

    def timestamp(self) -> int:
        return ((time.time_ns() // 1_000_000) << 18) + next(self.ticks)

    def upsert(self, name: str, keys: Sequence[str], version: int = 0) -> None:
        self.delete(name, keys)
        table = self.table(name)
        at = table.deletes[-1][1] if keys else 0
        for key in keys:
            table.growing.append({"key": key, "version": version, "at": at, "row": next(self.ids)})

    def delete(self, name: str, keys: Sequence[str]) -> None:
        at = self.timestamp()
        self.table(name).deletes.extend((key, at) for key in keys)

    def alive(self, name: str) -> dict[str, int]:
        """Key -> version of what a query would answer."""
        table = self.table(name)
        newest = {}
        for key, at in table.deletes:
            newest[key] = max(at, newest.get(key, 0))
        rows = [r for s in table.segments for r in s.rows] + table.growing
        return {r["key"]: r["version"] for r in rows if r["at"] >= newest.get(r["key"], 0)}

    def count(self, name: str) -> int:
        return len(self.alive(name))

    def persist(self, name: str) -> list[int]:
        """Writes what is growing as a segment, and all deletes to the segments of their keys."""
        table = self.table(name)
        if table.growing:
            table.segments.append(Written(next(self.ids), table.growing))
            self._write(table, table.segments[-1])
            table.growing = []
        for segment in table.segments:
            keys = {r["key"] for r in segment.rows}
            hits = [(k, at) for k, at in table.deletes[segment.seen :] if k in keys]
            segment.seen = len(table.deletes)
            if hits:
                place = self._place(table, segment)
                self.store.put(
                    f"delta_log/{place}/{next(self.ids)}", delta_log(hits, self._ids(place))
                )
        return [s.id for s in table.segments]

    def flush_through(self, names: Sequence[str]) -> Flushed:
        time.sleep(0.003)
        until = time.time_ns() // 1_000_000
        time.sleep(0.003)
        segments = {name: tuple(self.persist(name)) for name in names}
        self.after_flush()
        return Flushed(until + self.skew, segments)

    def compact(self, name: str) -> int:
        """One segment of all; the replaced ones' files stay."""
        table = self.table(name)
        alive = self.alive(name)
        rows = [r for s in table.segments for r in s.rows if alive.get(r["key"]) == r["version"]]
        table.segments = [Written(next(self.ids), rows)]
        self._write(table, table.segments[0])
        return 1

    def collect(self, name: str) -> None:
        """Removes the files of segments that were replaced."""
        table = self.table(name)
        live = {s.id for s in table.segments}
        for info in list(self.store.list("")):
            parts = info.key.split("/")
            if parts[1] == str(table.info.id) and int(parts[3]) not in live:
                self.store.delete(info.key)

    def _place(self, table: Table, segment: Written) -> str:
        return f"{table.info.id}/{table.info.partitions[0].id}/{segment.id}"

    def _ids(self, place: str) -> tuple[int, int, int]:
        a, b, c = place.split("/")
        return int(a), int(b), int(c)

    def _write(self, table: Table, segment: Written) -> None:
        place = self._place(table, segment)
        rows = segment.rows
        shape = arrow_schema(SCHEMA)
        vectors = np.array([vector(r["key"]) for r in rows], np.float32).reshape(-1, 4)
        columns: dict[int, tuple[Field, pa.Array]] = {
            0: (Field("r", "INT64", field_id=0), pa.array([r["row"] for r in rows], pa.int64())),
            1: (Field("t", "INT64", field_id=1), pa.array([r["at"] for r in rows], pa.int64())),
            100: (SCHEMA.fields[0], pa.array([r["key"] for r in rows], pa.string())),
            101: (
                SCHEMA.fields[1],
                pa.FixedSizeListArray.from_arrays(
                    vectors.ravel(), type=shape.field("embedding").type
                ),
            ),
            102: (SCHEMA.fields[2], pa.array([f"text of {r['key']}" for r in rows])),
            103: (SCHEMA.fields[3], pa.array([f"words@{r['version'] % 2}" for r in rows])),
            104: (
                Field(DYNAMIC_FIELD, "JSON", field_id=104),
                pa.array([json.dumps({"v": r["version"]}).encode() for r in rows], pa.binary()),
            ),
        }
        for number, (of, values) in columns.items():
            data = insert_log(values, of, self._ids(place), 1)
            self.store.put(f"insert_log/{place}/{number}/{next(self.ids)}", data)
        self.store.put(f"stats_log/{place}/100/1", b"statistics")

    # --- the rest of the protocol

    def table(self, name: str) -> Table:
        try:
            return self.tables[self.alias.get(name, name)]
        except KeyError:
            raise CollectionNotFound(f"no collection {name}") from None

    def version(self) -> str:
        return "v2.3.5"

    def list_collections(self) -> list[str]:
        return sorted(self.tables)

    def has_collection(self, name: str) -> bool:
        return name in self.tables or name in self.alias

    def describe(self, name: str) -> CollectionInfo:
        info = self.table(name).info
        return replace(
            info, aliases=tuple(sorted(a for a, c in self.alias.items() if c == info.name))
        )

    def segments(self, name: str) -> list[Segment]:
        table = self.table(name)
        partition = table.info.partitions[0].id
        return [Segment(s.id, partition, len(s.rows), s.state) for s in table.segments]

    def create_collection(self, name: str, schema: Schema, **options: Any) -> None:
        if name in self.tables:
            raise MilvusError("it is there")
        names = [p if isinstance(p, str) else p.name for p in options.get("partitions", ())]
        self.tables[name] = Table(
            CollectionInfo(
                name, next(self.ids), schema, options.get("shards", 1),
                tuple(Partition(n, next(self.ids)) for n in names or ["_default"]),
                options.get("consistency", "Bounded"), options.get("properties", {}), (), (),
                "NotLoad", 0,
            )
        )  # fmt: skip

    def drop_collection(self, name: str) -> None:
        del self.tables[name]

    def rename_collection(self, name: str, new: str) -> None:
        table = self.tables.pop(name)
        table.info = replace(table.info, name=new)
        self.tables[new] = table
        self.alias = {a: new if c == name else c for a, c in self.alias.items()}

    def create_index(self, name: str, index: Index, *, wait: bool = False) -> None:
        table = self.table(name)
        rows = self.count(name)
        table.info = replace(
            table.info,
            indexes=(*table.info.indexes, IndexState(index, rows, rows, 0, "Finished")),
        )

    def load(
        self, name: str, *, replicas: int = 1, groups: Sequence[str] = (), wait: bool = True
    ) -> None:
        if replicas > 1:
            raise MilvusError("too few query nodes")
        table = self.table(name)
        table.info = replace(table.info, load_state="Loaded", replicas=replicas)

    def loaded_segments(self, name: str) -> list[LoadedSegment]:
        return [
            LoadedSegment(s.id, len(s.rows), "Sealed", "", 0, (1,))
            for s in self.table(name).segments
        ]

    def scan(
        self, name: str, columns: Sequence[str], *, batch_rows: int = 100, filter: str = ""
    ) -> Iterator[pa.RecordBatch]:
        keys = sorted(self.alive(name))[:batch_rows]
        vectors = pa.array([vector(key) for key in keys], pa.list_(pa.float32(), 4))
        values = {"id": pa.array(keys, pa.string()), "embedding": vectors}
        yield pa.RecordBatch.from_arrays([values[c] for c in columns], names=list(columns))

    def search(
        self, name: str, vectors: Sequence[Any], *, limit: int, field: str, params: Any
    ) -> list[list[Hit]]:
        """Exact; `blind` finds nothing."""
        found = {key: vector(key) for key in self.alive(name)}
        return [
            [Hit(k, 1.0, {}) for k, v in found.items() if v == list(wanted) and not self.blind]
            for wanted in vectors
        ]

    def create_alias(self, name: str, alias: str) -> None:
        self.alias[alias] = name

    def drop_alias(self, alias: str) -> None:
        self.alias.pop(alias, None)

    def move_alias(self, name: str, alias: str) -> None:
        self.alias[alias] = name

    def alias_owner(self, alias: str) -> str | None:
        return self.alias.get(alias)

    def start_import(
        self, name: str, partition: str, paths: Sequence[str], *, until: int | None = None
    ) -> int:
        task = next(self.ids)
        if self.import_fails:
            self.tasks[task] = ImportState(False, True, 0, self.import_fails)
            return task
        table = self.table(name)
        assert partition in {p.name for p in table.info.partitions}
        logs = {n: self._logs(paths[0], str(n)) for n in (0, 1, 100, 104)}
        rows = [
            {"row": r, "at": t, "key": k, "version": json.loads(m)["v"]}
            for r, t, k, m in zip(*(logs[n] for n in (0, 1, 100, 104)), strict=True)
        ]
        end = (until or 0) << 18
        deletes: dict[str | int, int] = {}
        for file in sorted(Path(paths[1]).glob("*")):
            for key, at in parse_deletes(file.read_bytes(), str(file)):
                if at <= end:
                    deletes[key] = max(at, deletes.get(key, 0))
        kept = [r for r in rows if r["at"] <= end and r["at"] >= deletes.get(r["key"], 0)]
        kept = kept[self.import_loses :]
        if kept:
            table.segments.append(Written(next(self.ids), kept))
        self.tasks[task] = ImportState(True, False, len(kept))
        return task

    def _logs(self, prefix: str, number: str) -> list[Any]:
        found: list[Any] = []
        for file in sorted((Path(prefix) / number).iterdir()):
            _, logs = open_column(file.read_bytes(), ("val",), event=INSERT, name=str(file))
            found += [value for log in logs for value in log.read().column(0).to_pylist()]
        return found

    def import_state(self, task: int) -> ImportState:
        return self.tasks[task]


def vector(key: str) -> list[float]:
    return [float(ord(c)) for c in key[-4:].rjust(4)]


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedSpec:
    """A spec whose cluster keeps its segments in `milvus/` and its backups in `backups/`."""
    (tmp_path / "milvus").mkdir()
    file = tmp_path / "cluster.yaml"
    file.write_text(SPEC)
    return load(file)


@pytest.fixture
def server(loaded: LoadedSpec) -> FakeServer:
    """A server with the loaded, indexed collection `docs` of 40 flushed rows, alias `current`."""
    fake = FakeServer(LocalStore(loaded.resolve("milvus")))
    fake.create_collection("docs", SCHEMA, partitions=["_default"], properties={"a": "b"})
    fake.upsert("docs", [f"k{i:03d}" for i in range(40)])
    fake.persist("docs")
    fake.create_index("docs", INDEX)
    fake.load("docs")
    fake.create_alias("docs", "current")
    return fake


@pytest.fixture(autouse=True)
def _no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake's clock has no ticks to wait for."""
    monkeypatch.setattr("kitestring.backup.plan._TICK", 0.0)


@pytest.fixture
def flip() -> Callable[[Path, int], None]:
    """Flips one bit of a file: a change that no overwriting byte hides."""

    def change(path: Path, bit: int) -> None:
        data = bytearray(path.read_bytes())
        data[bit // 8 % len(data)] ^= 1 << bit % 8
        path.write_bytes(bytes(data))

    return change
