"""A collection in segment files, and the part of a server that tells of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from kitestring.canary.sample import Chosen, choose
from kitestring.clients.store.local import LocalStore
from kitestring.model.collection import CollectionInfo, Field, Schema, Segment
from kitestring.parallel import Workers
from kitestring.segments.write import delta_log
from kitestring.spec.load import load
from kitestring.spec.models import FieldMap
from tests.unit.segments.support import info_of, numbered, put_chunk

SIZES = {20: 500, 21: 300, 22: 150, 23: 50}
DELETED = 5  # of the first segment


class Filed:
    """Segments of `SIZES` rows; `count` is what `count(*)` says."""

    def __init__(self, folder: Path) -> None:
        key = Field("id", "VARCHAR", primary=True, max_length=64)
        schema = Schema(numbered([key, Field("embedding", "FLOAT_VECTOR", dim=8)]))
        store: Any = LocalStore(folder / "milvus")
        begin = 0
        for segment, rows in SIZES.items():
            put_chunk(store, schema, range(begin, begin + rows), root="", ids=(7, 8, segment))
            begin += rows
        gone = [(f"é{n:06}", 10**9) for n in range(DELETED)]
        store.put("delta_log/7/8/20/1", delta_log(gone, (7, 8, 20)))
        file = folder / "cluster.yaml"
        document = {
            "version": 1,
            "cluster": {"name": "test"},
            "connection": {"uri": "http://127.0.0.1:1"},
            "state": "state",
            "storage": {"type": "local", "path": "milvus"},
        }
        file.write_text(yaml.safe_dump(document))
        self.loaded = load(file)
        self.info: CollectionInfo = replace(info_of(schema), load_state="Loaded")
        self.rows = sum(SIZES.values()) - DELETED
        self.scanned = 0

    def segments(self, name: str) -> list[Segment]:
        return [Segment(number, 8, rows, "Flushed") for number, rows in SIZES.items()]

    def loaded_segments(self, name: str) -> list[Any]:
        return []

    def flushed_until(self, name: str, now: int) -> int:
        return now

    def count(self, name: str) -> int:
        return self.rows

    def scan(self, name: str, columns: list[str], *, batch_rows: int) -> list[pa.RecordBatch]:
        self.scanned += 1
        keys = [f"é{n:06}" for n in range(DELETED, DELETED + self.rows)]
        return [pa.RecordBatch.from_pydict({"id": keys})]

    def choose(self, count: int, workers: Workers | None = None) -> Chosen:
        milvus: Any = self
        return choose(
            milvus, self.info, FieldMap(), "", count, "seed", loaded=self.loaded, workers=workers
        )
