"""Copies a backup's objects to where the target's server can read them, each one checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from kitestring.backup import staging
from kitestring.backup.batches import Batch, plan_batches
from kitestring.clients.store.protocol import ObjectStore, join
from kitestring.errors import (
    BackupDamaged,
    KitestringError,
    ObjectMissing,
    RestoreRefused,
)
from kitestring.model.backup import BackupManifest, CollectionBackup, StoredObject

_THREADS = 8


class Staging:
    """The folder of one restore (see `kitestring.backup.staging`)."""

    def __init__(
        self, pool: ObjectStore, store: ObjectStore | None, root: str, manifest: BackupManifest
    ) -> None:
        self._pool, self._store = pool, store
        self._root = root
        self._manifest = manifest
        self._folder = staging.new_folder(root, manifest.id)
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
        self._keys = [*(key for _, key in moves), staging.claim(store, self._folder)]
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
        """Removes what restores that were killed have staged."""
        if self._store is not None:
            staging.sweep(self._store, self._root)

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
