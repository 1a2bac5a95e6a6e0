"""A process that makes backups and one that prunes, for tests that run both at a time."""

from __future__ import annotations

import random
import time
from collections.abc import MutableSequence, Sequence
from pathlib import Path

from kitestring.backup.catalog import open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.prune import prune
from kitestring.backup.verify import verify
from kitestring.clients.store.local import LocalStore
from kitestring.errors import BackupBusy
from kitestring.spec.load import load
from tests.unit.backup.conftest import INDEX, SCHEMA, FakeServer


def back_up(file: Path, count: int, seed: int, pruned: Sequence[int]) -> None:
    """Makes `count` backups of a server that changes, compacts and collects in between; each has
    to be whole right after it was made. `pruned` counts the prunes: one is waited for each time."""
    loaded, choose = load(file), random.Random(seed)  # noqa: S311 - no secret
    server = FakeServer(LocalStore(loaded.resolve("milvus")))
    server.create_collection("docs", SCHEMA, partitions=["_default"])
    server.create_index("docs", INDEX)
    server.load("docs")
    made = 0
    while made < count:
        server.upsert("docs", [f"k{choose.randrange(40):03d}" for _ in range(8)], made)
        server.persist("docs")
        if choose.random() < 0.3:
            server.compact("docs")
            server.collect("docs")
        before = sum(pruned)
        try:
            manifest = create_backup(loaded, server)
        except BackupBusy:
            time.sleep(choose.random() / 100)
            continue
        made += 1
        result = verify(open_catalog(loaded), manifest.id, tier="full")
        if not result.passed:
            raise AssertionError(result.problems)
        deadline = time.monotonic() + 30
        while sum(pruned) == before and time.monotonic() < deadline:
            time.sleep(0.001)


def keep_pruning(file: Path, pruned: MutableSequence[int], slot: int) -> None:
    """Prunes until it is killed, and counts in its slot of `pruned`."""
    loaded = load(file)
    while True:
        try:
            prune(loaded)
            pruned[slot] += 1
        except BackupBusy:
            time.sleep(0.002)
