"""Brings the files of another tool's backup into the pool, each once, with its checksum."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from kitestring.backup.catalog import Catalog
from kitestring.backup.imported.files import ForeignFile
from kitestring.backup.interrupts import shielded
from kitestring.backup.pool import POOL
from kitestring.clients.store.protocol import ObjectStore, join, sha256_of
from kitestring.errors import (
    BackupDamaged,
    ImportRefused,
    KitestringError,
    ObjectMissing,
    SealError,
)
from kitestring.model.backup import StoredObject

_THREADS = 8


@dataclass
class Taken:
    """What an import has brought in so far."""

    stored: dict[str, StoredObject] = field(default_factory=dict)  # by key in the backup
    new: set[str] = field(default_factory=set)  # keys of the pool that were not there before
    copied_bytes: int = 0
    reused_bytes: int = 0


class Bringer:
    """Copies from the folder of a backup to the pool of a cluster.

    An object that the pool has under the same key is used when its content is the same; else the
    copy gets a key of its own.
    """

    def __init__(self, folder: ObjectStore, catalog: Catalog, cluster: str) -> None:
        self._folder, self._pool = folder, catalog.store
        self._below = join(POOL, catalog.pool_name(cluster))
        self._sizes = {o.key: o.size for o in catalog.pooled(cluster)}
        self.taken = Taken()

    def take(self, files: Iterable[ForeignFile], alive: Callable[[], None]) -> None:
        """Raises ImportRefused when a file is gone; nothing is left running."""
        left = iter(files)
        with ThreadPoolExecutor(_THREADS, "import") as executor:
            running: set[Future[tuple[str, StoredObject, bool]]] = set()
            try:
                while True:
                    for file in islice(left, 2 * _THREADS - len(running)):
                        running.add(executor.submit(self._bring, file))
                    if not running:
                        return
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        self._note(*future.result())
                    alive()
            except BaseException:
                executor.shutdown(wait=True, cancel_futures=True)
                # what the others still wrote has to be known, to be removed again
                for future in running:
                    with contextlib.suppress(KitestringError):
                        if not future.cancelled():
                            self._note(*future.result())
                raise

    def original(self, key: str) -> bytes:
        """A file of the backup's folder."""
        return self._folder.get(key)

    def _note(self, key: str, stored: StoredObject, copied: bool) -> None:
        self.taken.stored[key] = stored
        if copied:
            self.taken.new.add(stored.key)
            self.taken.copied_bytes += stored.size
        else:
            self.taken.reused_bytes += stored.size

    def _bring(self, file: ForeignFile) -> tuple[str, StoredObject, bool]:
        key = join(self._below, file.source)
        try:
            if key in self._sizes:
                size, sha256 = sha256_of(self._folder, file.info.key)
                if self._sizes[key] == size and self._holds(key, (size, sha256)):
                    return file.info.key, StoredObject(key, file.source, size, sha256), False
                key = f"{key}.{sha256[:12]}"
            size, sha256 = self._pool.copy_from(self._folder, file.info.key, key)
        except ObjectMissing as error:
            raise ImportRefused(
                f"{file.info.key} went away while it was copied", subject=file.info.key
            ) from error
        return file.info.key, StoredObject(key, file.source, size, sha256), True

    def _holds(self, key: str, wanted: tuple[int, str]) -> bool:
        try:
            return sha256_of(self._pool, key) == wanted
        except (BackupDamaged, SealError):  # what can't be opened is not relied on
            return False

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Removes what was copied when the block fails."""
        try:
            yield
        except BaseException:
            with shielded():
                for key in sorted(self.taken.new - set(self._sizes)):
                    with contextlib.suppress(KitestringError):
                        self._pool.delete(key)
            raise
