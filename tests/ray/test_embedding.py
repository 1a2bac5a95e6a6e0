"""Re-embedding and canaries on a Ray cluster come to what they come to in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kitestring.canary.measure import measure
from kitestring.canary.sign_off import sign_off
from kitestring.model.reembed import READY
from kitestring.parallel import Workers
from kitestring.reembed import copy
from kitestring.reembed.run import run
from kitestring.spec.loaded import LoadedSpec
from tests.unit.canary.conftest import OTHER, model
from tests.unit.canary.conftest import loaded as loaded  # a fixture
from tests.unit.canary.conftest import table as table  # a fixture
from tests.unit.canary.files import Filed
from tests.unit.reembed.conftest import Site

pytest.importorskip("ray", reason="Ray is not installed: make test-ray")


def copied(folder: Path, on: str) -> dict[str, dict[str, Any]]:
    folder.mkdir()
    site = Site(folder)
    for number in range(12):
        site.write(f"more-{number}.md", f"Kite {number} has a string of {number * 7} metres.")
    site.ingest()
    assert run(site.loaded(), site.milvus, "docs", "words@1", on=on).state == READY
    return {
        key: {name: value for name, value in row.items() if name != "last_embedded_at"}
        for key, row in site.milvus.rows("docs_v2").items()
    }


def test_ray_and_this_process_write_the_same_rows(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "BATCH_ROWS", 2)
    alone = copied(tmp_path / "alone", "serial")
    assert len(alone) > 12
    assert copied(tmp_path / "spread", cluster) == alone


def test_ray_and_this_process_choose_the_same_rows(cluster: str, tmp_path: Path) -> None:
    filed = Filed(tmp_path)
    alone = filed.choose(200)
    assert len(alone.segments) == 200
    with Workers(cluster) as workers:
        assert filed.choose(200, workers) == alone
    assert filed.scanned == 0


def test_ray_and_this_process_judge_vectors_alike(
    cluster: str, loaded: LoadedSpec, table: Any
) -> None:
    rows = table(600)
    (docs,) = loaded.spec.collections
    sign_off(loaded, rows, docs, rows=400, seed="signed")
    rows.embed(range(0, 600, 12), model(**OTHER))
    seen = measure(loaded, rows, docs, rows.info, seed="day").reembedded
    assert seen is not None
    assert seen.below.count > 5
    with Workers(cluster) as workers:
        found = measure(loaded, rows, docs, rows.info, seed="day", workers=workers)
    assert found.reembedded == seen
