"""Copies a backup's objects to where the target's server can read them, each one checked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from kitestring.backup.batches import Batch, plan_batches
from kitestring.clients.store.protocol import ObjectStore, join
from kitestring.errors import (
    BackupDamaged,
    KitestringError,
    ObjectMissing,
    RestoreRefused,
)
from kitestring.model.backup import BackupManifest, CollectionBackup, StoredObject

STAGING = "kitestring-restore"  # below the root path of the target's store
_THREADS = 8
_ABANDONED = 7 * 86400.0  # seconds after which nobody can be at work in a staging folder


class Staging:
    """The folder of one restore: two restores of one backup do not meet."""

    def __init__(
        self, pool: ObjectStore, store: ObjectStore | None, root: str, manifest: BackupManifest
    ) -> None:
        self._pool, self._store = pool, store
        self._top = join(root, STAGING)
        self._manifest = manifest
        self._folder = f"{self._top}/{manifest.id}-{time.time_ns():x}"
        self._keys: list[str] = []
        self.batches: dict[str, list[Batch]] = {}

    @property
    def store(self) -> ObjectStore:
        """Raises RestoreRefused where the target's store is not known."""
        if self._store is None:
            raise RestoreRefused(
                "the spec of the target does not say where its Milvus keeps its segments: a "
                "physical backup can't be brought there",
                hint="add `storage` to that spec, or restore a logical backup",
                subject=self._manifest.id,
            )
        return self._store

    def fill(self, wanted: Sequence[CollectionBackup]) -> None:
        """Copies the insert and delta logs.

        Raises:
            BackupDamaged: an object is missing or changed.
            StoreError: the copy failed.
        """
        self.batches = {c.name: plan_batches(c) for c in wanted}
        moves = [
            (stored, f"{self._folder}/{key}")
            for batches in self.batches.values()
            for batch in batches
            for key, stored in batch.objects.items()
        ]
        if not moves:
            return
        store = self.store
        self._keys = [key for _, key in moves]
        with ThreadPoolExecutor(_THREADS, "restore") as executor:
            try:
                for _ in executor.map(lambda move: self._copy(store, *move), moves):
                    pass
            except BaseException:
                executor.shutdown(wait=True, cancel_futures=True)
                raise

    def paths(self, batch: Batch) -> list[str]:
        """The prefixes of a batch as the server knows them."""
        return [self.store.server_path(join(self._folder, prefix)) for prefix in batch.prefixes]

    def remove(self) -> Iterator[str]:
        """Removes what was staged; yields what could not be, in words."""
        keys, self._keys = self._keys, []
        for key in keys:
            try:
                self.store.delete(key)
            except KitestringError as error:
                yield f"a staged file could not be removed: {error.message}"

    def sweep(self) -> None:
        """Removes the folders of restores that were killed a week ago or more."""
        if self._store is None:
            return
        with suppress(KitestringError):
            for info in list(self._store.list(f"{self._top}/")):
                folder = info.key[len(self._top) + 1 :].partition("/")[0]
                if time.time() - _begun(folder) > _ABANDONED:
                    self._store.delete(info.key)

    def _copy(self, store: ObjectStore, stored: StoredObject, key: str) -> None:
        try:
            found = store.copy_from(self._pool, stored.key, key)
        except ObjectMissing as error:
            raise self._damaged(error.message, stored) from None
        if found != (stored.size, stored.sha256):
            raise self._damaged(f"the object {stored.key} is not what was backed up", stored)

    def _damaged(self, why: str, stored: StoredObject) -> BackupDamaged:
        return BackupDamaged(
            f"the backup {self._manifest.id} is damaged: {why}",
            hint="restore another backup; `kitestring backup verify` checks them",
            subject=stored.key,
        )


def _begun(folder: str) -> float:
    """Seconds since the epoch of a staging folder's name; now where it is not one of ours."""
    try:
        return int(folder.rpartition("-")[2], 16) / 1e9
    except ValueError:
        return time.time()
