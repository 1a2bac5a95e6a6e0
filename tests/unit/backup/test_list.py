"""Listing reads small summaries only, each once."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.clients.store.memory import MemoryStore
from tests.unit.backup.catalogs import make_backup, write_spec

COUNT = 1000


def test_a_thousand_backups_take_a_thousand_small_reads(tmp_path: Path) -> None:
    loaded = write_spec(tmp_path)
    one = make_backup(loaded, 1_780_000_000_000, {"x": 1})
    store = open_catalog(loaded).store
    text = store.get(f"backups/{one.id}/summary.json").decode()
    many, asked, threads = MemoryStore(), Counter[str](), set[str]()
    for number in range(COUNT):
        id_ = f"20260101T000000Z-{number:06x}"
        many.put(f"backups/{id_}/manifest.json", b"it must not be read")
        many.put(f"backups/{id_}/summary.json", text.replace(one.id, id_).encode())

    def count(operation: str, key: str) -> None:
        asked[f"{operation} {key.rpartition('/')[2]}"] += 1
        threads.add(threading.current_thread().name)

    many.before = count
    found = Catalog(many).summaries()
    assert len(found) == COUNT
    assert all(s.readable for s in found)
    assert [s.id for s in found] == sorted((s.id for s in found), reverse=True)
    assert asked == {"list ": 1, "get summary.json": COUNT}
    assert len(threads) > 2
