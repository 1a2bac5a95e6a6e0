"""Rows read from a real server's segment files are the rows that its API answers.

Random sequences of insert, upsert, delete, flush and compaction, the same in each run:
`KITESTRING_SEGMENTS_SEED` draws others, `KITESTRING_SEGMENTS_EXAMPLES` (1) is the number of
sequences for each schema.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from kitestring.model.collection import Field, Index, Schema
from tests.waiting import compacted

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer

EXAMPLES = int(os.environ.get("KITESTRING_SEGMENTS_EXAMPLES", "1"))
SEED = int(os.environ.get("KITESTRING_SEGMENTS_SEED", "7"))
STEPS = 8
DIM = 8
PARTITIONS = ("_default", "red", "blue")
ELEMENTS = ("BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR")

_SCALARS = tuple(Field(f"s_{t.lower()}", t, max_length=99 if t == "VARCHAR" else None)
                 for t in (*ELEMENTS, "JSON"))  # fmt: skip
_ARRAYS = tuple(
    Field(f"a_{t.lower()}", "ARRAY", element_type=t, max_capacity=5,
          max_length=99 if t == "VARCHAR" else None)
    for t in ELEMENTS
)  # fmt: skip
# No FLOAT16_VECTOR: a query node of 2.3.5 may die of it, and takes the whole server along.
SCHEMAS = {
    "int64-dynamic": Schema(
        (
            Field("id", "INT64", primary=True),
            *_SCALARS,
            *_ARRAYS,
            Field("v", "FLOAT_VECTOR", dim=DIM),
        ),
        dynamic=True,
    ),
    "varchar-binary": Schema(
        (
            Field("id", "VARCHAR", primary=True, max_length=64),
            *_SCALARS,
            Field("v", "BINARY_VECTOR", dim=DIM),
        ),
    ),
    "partition-key": Schema(
        (
            Field("id", "VARCHAR", primary=True, max_length=64),
            Field("tenant", "VARCHAR", partition_key=True, max_length=64),
            Field("v", "FLOAT_VECTOR", dim=DIM),
        ),
        dynamic=True,
    ),
}
FLAT = {
    "FLOAT_VECTOR": ("FLAT", "L2"),
    "BINARY_VECTOR": ("BIN_FLAT", "HAMMING"),
}


@dataclass
class Machine:
    """One collection, and what has been done to it."""

    milvus: MilvusServer
    root: Path
    name: str
    schema: Schema
    random: random.Random
    partitions: tuple[str, ...]
    keys: list[list[Any]] = field(default_factory=list)  # that were ever written, by partition
    done: list[str] = field(default_factory=list)
    compared: int = 0

    def step(self) -> None:
        actions = {
            self.insert: 5,
            self.upsert: 4,
            self.delete: 4,
            self.flush_and_compare: 2,
            self.compact: 1,
        }
        (action,) = self.random.choices(list(actions), list(actions.values()))
        self.done.append(action.__name__)
        action()

    def insert(self) -> None:
        partition = self.random.randrange(len(self.partitions))
        count = self.random.choice([1, 7, 120, 900])
        start = sum(map(len, self.keys))
        keys = [self._key(partition, start + n) for n in range(count)]
        self.keys[partition] += keys
        self._write("insert", keys, partition)

    def upsert(self) -> None:
        partition = self.random.randrange(len(self.partitions))
        there = self.keys[partition]
        keys = self.random.sample(there, min(len(there), self.random.choice([1, 5, 60])))
        if self.random.random() < 0.5:
            fresh = self._key(partition, sum(map(len, self.keys)))
            there.append(fresh)
            keys.append(fresh)
        if keys:
            self._write("upsert", keys, partition)

    def delete(self) -> None:
        everything = [key for keys in self.keys for key in keys]
        count = min(len(everything), self.random.choice([1, 10, 200]))
        self.milvus.delete(self.name, self.random.sample(everything, count))

    def compact(self) -> None:
        self.milvus.flush(self.name)
        compacted(self.milvus, self.name)
        self.flush_and_compare()

    def flush_and_compare(self) -> None:
        from kitestring.clients.store.local import LocalStore
        from kitestring.model.digest import digest_batches
        from kitestring.segments.plan import plan_live, read_parts

        flushed = self.milvus.flush_through([self.name])
        # nothing is written meanwhile: the flush holds every write, also one of its own tick
        until = (flushed.until + 1) << 18
        info = self.milvus.describe(self.name)
        columns = [f.name for f in self.schema.fields] + ["$meta"] * self.schema.dynamic
        store = LocalStore(self.root, create=False)
        parts = plan_live(store, "", info, self.milvus.segments(self.name), until=until)
        found = list(read_parts(store, parts))
        wanted = list(self.milvus.scan(self.name, columns))
        self.compared += 1
        if digest_batches("id", found) != digest_batches("id", wanted):
            assert rows(found) == rows(wanted)
            pytest.fail("the digests differ where the rows do not")
        # with their number known, fewer columns have to come to as many rows
        keys = sum(b.num_rows for b in read_parts(store, parts, ["id"]))
        assert keys == self.milvus.count(self.name)

    def _write(self, how: str, keys: list[Any], partition: int) -> None:
        from pymilvus import MilvusClient

        named = {} if len(self.partitions) == 1 else {"partition_name": self.partitions[partition]}
        client: MilvusClient = self.milvus._client  # ours writes to the default partition only
        getattr(client, how)(self.name, [self._row(key) for key in keys], **named)

    def _key(self, partition: int, n: int) -> Any:
        number = n * len(self.partitions) + partition - 500
        if self.schema.primary.type == "INT64":
            return number * 2**40 if n % 7 else number
        return f"k'\"é\\{number}"

    def _row(self, key: Any) -> dict[str, Any]:
        row = {f.name: self._value(f) for f in self.schema.fields if not f.primary}
        extra = {"extra": self.random.random(), "äöü": [1, None]} if self.schema.dynamic else {}
        return {"id": key, **row, **(extra if self.random.random() < 0.7 else {})}

    def _value(self, of: Field) -> Any:
        draw = self.random
        bits = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
        if of.type in bits:
            return draw.randrange(-(2 ** (bits[of.type] - 1)), 2 ** (bits[of.type] - 1))
        if of.type == "ARRAY":
            return [
                self._value(Field("e", of.element_type or "")) for _ in range(draw.randrange(5))
            ]
        values = {
            "BOOL": lambda: draw.random() < 0.5,
            "FLOAT": lambda: draw.choice([0.0, -1.5, 3.25e38, draw.random()]),
            "DOUBLE": lambda: draw.choice([0.0, -1e-300, 1.7e308, draw.random()]),
            "VARCHAR": lambda: draw.choice(["", "plain", "äöü", "a\nb\0", "😀" * 9]),
            "JSON": lambda: draw.choice([{}, {"a": [1, {"b": "ü"}]}, {"n": draw.random()}]),
            "FLOAT_VECTOR": lambda: [draw.uniform(-1, 1) for _ in range(DIM)],
            "BINARY_VECTOR": lambda: draw.randbytes(DIM // 8),
        }
        return values[of.type]()


def rows(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    table = pa.Table.from_batches(batches)
    found: list[dict[str, Any]] = table.take(pc.sort_indices(table["id"])).to_pylist()
    for row in found:
        if "$meta" in row:
            row["$meta"] = json.loads(row["$meta"])
    return found


@pytest.fixture
def made(milvus: MilvusServer) -> Iterator[list[str]]:
    names: list[str] = []
    yield names
    for name in names:
        milvus.drop_collection(name)


@pytest.mark.parametrize("example", range(EXAMPLES))
@pytest.mark.parametrize("shape", list(SCHEMAS))
def test_rows_of_the_files_are_rows_of_the_api(
    shape: str, example: int, milvus: MilvusServer, stack_data: Path, made: list[str]
) -> None:
    seed = f"{SEED}-{shape}-{example}"
    print(f"seed {SEED}: repeat with KITESTRING_SEGMENTS_SEED={SEED}")
    schema = SCHEMAS[shape]
    name = f"segments_{shape.replace('-', '_')}_{example}"
    parted = not any(f.partition_key for f in schema.fields)
    milvus.create_collection(
        name,
        schema,
        shards=2,
        partitions=list(PARTITIONS[1:]) if parted else (),
        key_partitions=None if parted else 4,  # of 64, each has segments to compact
    )
    made.append(name)
    kind, metric = FLAT[schema.vectors[0].type]
    milvus.create_index(name, Index("v", "v", kind, metric))
    milvus.load(name)
    partitions = PARTITIONS if parted else ("",)
    draw = random.Random(seed)  # noqa: S311 - no secret
    machine = Machine(milvus, stack_data / "data", name, schema, draw, partitions)
    machine.keys = [[] for _ in partitions]
    machine.insert()
    try:
        for _ in range(STEPS):
            machine.step()
        machine.compact()
    finally:
        print(f"{machine.compared} comparisons after {', '.join(machine.done)}")
