"""Rows of a canary out of the segment files: each segment has its part, whatever reads it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kitestring.model.canary import Vectors
from kitestring.observe.canary import every_vector
from kitestring.parallel import Workers
from tests.unit.canary.files import DELETED, SIZES, Filed


def every(filed: Filed, workers: Workers | None) -> Vectors:
    """The census of all vectors."""
    milvus: Any = filed
    field = filed.info.schema.vectors[0]
    return every_vector(filed.loaded, milvus, filed.info, field, unit=True, workers=workers)


def test_each_segment_has_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitestring.observe.canary._LITTLE", 0)
    filed = Filed(tmp_path)
    found = filed.choose(200)
    assert filed.scanned == 0
    assert (found.population, found.rows) == (995, 995)
    counts = Counter(found.segments[str(key)] for key in found.keys)
    for segment, rows in SIZES.items():
        assert counts[segment] == pytest.approx(200 * rows / 1000, abs=2)
    assert not {f"é{n:06}" for n in range(DELETED)} & set(found.keys)
    vectors = every(filed, None)
    assert (vectors.path, vectors.rows, vectors.complete) == ("segments", 995, True)
    assert vectors.bad > 0  # what the files hold is not of length 1
    with Workers("pool") as workers:
        assert filed.choose(200, workers) == found
        assert every(filed, workers) == vectors


def test_files_that_lack_a_row_are_left_for_the_api(tmp_path: Path) -> None:
    filed = Filed(tmp_path)
    filed.rows += 1
    found = filed.choose(200)
    assert (filed.scanned, found.rows, found.segments) == (1, 996, {})


def test_a_damaged_file_is_left_for_the_api(tmp_path: Path) -> None:
    filed = Filed(tmp_path)
    damaged = next((tmp_path / "milvus/insert_log/7/8/22/100").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-40])
    assert (filed.choose(200).segments, filed.scanned) == ({}, 1)
