"""A logical backup that is killed at any step leaves nothing in the next one's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kitestring.backup.logical.create import create_logical
from kitestring.spec.loaded import LoadedSpec
from tests.unit.backup.killing import killed_at_every_step


def test_killed_at_every_step(server: Any, loaded: LoadedSpec, tmp_path: Path) -> None:
    create_logical(loaded, server)
    server.upsert("docs", [f"k{n:03d}" for n in range(20, 30)], version=1)
    server.delete("docs", ["k000"])
    server.persist("docs")
    steps = killed_at_every_step(create_logical, loaded, server, tmp_path / "clean")
    print(f"{steps} steps")
    assert steps > 10
