"""Rows of Parquet files that are not the manifest's are found, whole as the files may be."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kitestring.backup.parts import check_parts
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import BackupDamaged
from kitestring.model.arrow import arrow_schema
from kitestring.model.backup import CollectionBackup, RowsBackup, StoredObject
from kitestring.model.collection import Field, Partition, Schema
from kitestring.model.digest import digest_batches

SCHEMA = Schema(
    (
        Field("id", "INT64", primary=True, field_id=100),
        Field("text", "VARCHAR", max_length=100, field_id=101),
    ),
    dynamic=True,
)


def batch(*numbers: int, word: str = "row") -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array(numbers, pa.int64()),
            pa.array([f"{word} {n}" for n in numbers]),
            pa.array([json.dumps({"n": n}).encode() for n in numbers], pa.binary()),
        ],
        schema=arrow_schema(SCHEMA),
    )


def put(store: MemoryStore, name: str, rows: pa.RecordBatch) -> RowsBackup:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_batches([rows]), out, row_group_size=2)
    data = out.getvalue()
    store.put(f"pool/unit/{name}", data)
    stored = StoredObject(f"pool/unit/{name}", name, len(data), hashlib.sha256(data).hexdigest())
    return RowsBackup(stored, "_default", rows.num_rows, written=rows.num_rows)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def backup(store: MemoryStore) -> CollectionBackup:
    rows = [batch(1, 2, 3), batch(4, 5)]
    parts = tuple(put(store, f"docs/{n}", part) for n, part in enumerate(rows))
    return CollectionBackup(
        "docs", 7, SCHEMA, 1, (Partition("_default", 8),), "Bounded", {}, (), (), True, 1, (),
        digest_batches("id", rows), parts=parts,
    )  # fmt: skip


def test_rows_of_the_manifest_pass(store: MemoryStore, backup: CollectionBackup) -> None:
    check_parts(store, backup)


@pytest.mark.parametrize(
    "rows", [batch(4), batch(4, 4), batch(4, 6), batch(4, 5, word="other"), batch(4, 5, 6)]
)
def test_other_rows_are_found(
    store: MemoryStore, backup: CollectionBackup, rows: pa.RecordBatch
) -> None:
    other = put(store, "docs/1", rows)  # with a checksum and a count that fit it
    with pytest.raises(BackupDamaged, match="not those of its manifest"):
        check_parts(store, replace(backup, parts=(backup.parts[0], other)))


def test_a_count_that_is_not_the_file_s_is_found(
    store: MemoryStore, backup: CollectionBackup
) -> None:
    wrong = replace(backup.parts[0], rows=2)
    with pytest.raises(BackupDamaged, match="docs/0"):
        check_parts(store, replace(backup, parts=(wrong, backup.parts[1])))


def test_what_is_no_parquet_file_is_named(store: MemoryStore, backup: CollectionBackup) -> None:
    data = b"PAR1 nothing of the kind PAR1"
    store.put(backup.parts[0].object.key, data)
    stored = replace(
        backup.parts[0].object, size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    wrong = replace(backup.parts[0], object=stored)
    with pytest.raises(BackupDamaged, match="docs/0"):
        check_parts(store, replace(backup, parts=(wrong, backup.parts[1])))
