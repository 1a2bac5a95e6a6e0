"""Makes backups in processes that kill themselves at a step of their work."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.verify import verify
from kitestring.clients.store.local import LocalStore
from kitestring.model.backup import BackupManifest
from kitestring.spec.loaded import LoadedSpec

Make = Callable[[LoadedSpec, Any], BackupManifest]
FORK = multiprocessing.get_context("fork")


def explained(catalog: Catalog) -> None:
    """Every object of the store is of a backup that is listed and whole."""
    summaries = catalog.summaries()
    assert all(s.readable for s in summaries)
    manifests = [catalog.manifest(s.id) for s in summaries]
    named = {o.key for m in manifests for c in m.collections for o in c.objects}
    assert {i.key for i in catalog.store.list("pool/")} == named
    left = {i.key for i in catalog.store.list("")} - named
    assert left == {f"backups/{m.id}/{n}.json" for m in manifests for n in ("manifest", "summary")}
    for manifest in manifests:
        verify(catalog, manifest.id).raise_if_damaged()


def killed_at(step: int, make: Make, loaded: LoadedSpec, server: Any) -> bool:
    """Makes a backup in another process, which kills itself at a write or delete of its store,
    with what it writes half done. False when there were not so many."""

    def run() -> None:
        seen = 0
        guard = threading.Lock()
        place, delete = LocalStore._place, LocalStore.delete

        def count(store: LocalStore) -> None:
            nonlocal seen
            if "backups" in str(store.path):
                with guard:
                    seen += 1
                    if seen == step:
                        os.kill(os.getpid(), signal.SIGKILL)

        def placing(self: LocalStore, *args: Any, **options: Any) -> bool:
            count(self)
            return place(self, *args, **options)

        def deleting(self: LocalStore, key: str) -> None:
            count(self)
            delete(self, key)

        LocalStore._place, LocalStore.delete = placing, deleting  # type: ignore[method-assign]
        make(loaded, server)
        os._exit(0)

    process = FORK.Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def killed_at_every_step(make: Make, loaded: LoadedSpec, server: Any, clean: Path) -> int:
    """Kills a backup at each of its steps, and looks at the one that is made after it; how many
    steps there were. `clean`: a folder that is not there."""
    rows, backups = server.count("docs"), loaded.resolve("backups")
    shutil.copytree(backups, clean)
    steps = 0
    while killed_at(steps + 1, make, loaded, server):
        steps += 1
        catalog = open_catalog(loaded)
        before = catalog.summaries()
        assert make(loaded, server).rows == rows, steps
        explained(catalog)
        # it was there already only where it died after it was published
        assert len(catalog.summaries()) == len({s.id for s in before}) + 1
        shutil.rmtree(backups)
        shutil.copytree(clean, backups)
    return steps
