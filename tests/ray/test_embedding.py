"""A re-embedding on a Ray cluster comes to what it comes to in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kitestring.model.reembed import READY
from kitestring.reembed import copy
from kitestring.reembed.run import run
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
