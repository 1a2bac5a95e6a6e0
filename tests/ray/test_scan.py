"""A scan of segments on a Ray cluster comes to what it comes to in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.clients.store.local import LocalStore
from kitestring.errors import SegmentUnreadable
from kitestring.model.collection import Field, Schema, Segment
from kitestring.observe.from_segments import SegmentRows
from kitestring.observe.reconcile import Reconciled, reconcile
from kitestring.observe.take import Columns, Taken
from kitestring.parallel import Executor, Serial, open_executor
from kitestring.segments.write import delta_log
from kitestring.spec.load import load
from tests.unit.segments.support import info_of, numbered, put_chunk

pytest.importorskip("ray", reason="Ray is not installed: make test-ray")

SCHEMA = Schema(
    numbered(
        [
            Field("id", "VARCHAR", primary=True, max_length=64),
            Field("content_hash", "VARCHAR", max_length=64),
            Field("embedding_model", "VARCHAR", max_length=64),
        ]
    )
)
COLUMNS = Columns("id", "content_hash", "embedding_model", None, None)
SEGMENTS = [Segment(20 + n, 8, 500, "Flushed") for n in range(6)]


@pytest.fixture
def rows(tmp_path: Path) -> SegmentRows:
    """Six segments of 500 rows; each repeats 10 keys of the one before, and 5 are deleted."""
    store: Any = LocalStore(tmp_path / "milvus")
    for n, segment in enumerate(SEGMENTS):
        keys, ids = range(490 * n, 490 * n + 500), (7, 8, segment.id)
        put_chunk(store, SCHEMA, keys, root="", ids=ids)
    gone = [(f"é{n:06}", 10**9) for n in range(100, 105)]
    store.put("delta_log/7/8/20/1", delta_log(gone, (7, 8, 20)))
    file = tmp_path / "cluster.yaml"
    document = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {"uri": "http://127.0.0.1:1"},
        "state": "state",
        "storage": {"type": "local", "path": "milvus"},
    }
    file.write_text(yaml.safe_dump(document))
    return SegmentRows(load(file), info_of(SCHEMA), SEGMENTS, COLUMNS)


def taken_on(rows: SegmentRows, executor: Executor, folder: Path) -> tuple[Taken, Reconciled]:
    folder.mkdir()
    taken = rows.take(executor, folder)
    return taken, reconcile(Serial(), taken.runs, None, passages=taken.passages, examples=50)


def test_ray_and_this_process_find_the_same(
    cluster: str, rows: SegmentRows, tmp_path: Path
) -> None:
    alone, expected = taken_on(rows, Serial(), tmp_path / "alone")
    with open_executor(cluster) as executor:
        spread, found = taken_on(rows, executor, tmp_path / "spread")
    assert found == expected
    assert (spread.rows, found.store_keys, found.duplicate.count) == (2995, 2945, 50)
    assert spread.models.rows() == alone.models.rows()
    assert spread.models.examples() == alone.models.examples()
    assert sorted(rows.keys(found.duplicate.places)) == sorted(rows.keys(expected.duplicate.places))
    assert all(run.records is None for run in spread.runs)  # in files here, not in memory


def test_a_damaged_file_is_told_as_in_this_process(
    cluster: str, rows: SegmentRows, tmp_path: Path
) -> None:
    damaged = next((tmp_path / "milvus/insert_log/7/8/23/100").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-40])
    with open_executor(cluster) as executor, pytest.raises(SegmentUnreadable, match="/23/"):
        taken_on(rows, executor, tmp_path / "spread")
