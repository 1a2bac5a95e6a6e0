"""The rows of a logical backup's Parquet files, read again and held against the manifest."""

from __future__ import annotations

from kitestring.backup.logical.rows import read_part
from kitestring.backup.pool import PoolReader
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import BackupDamaged
from kitestring.model.backup import CollectionBackup, RowDigest
from kitestring.model.digest import DigestBuilder


def digest_of_parts(store: ObjectStore, backup: CollectionBackup) -> RowDigest:
    """The digest of the rows of a collection's parts; of the keys only where the manifest has no
    more.

    Raises:
        BackupDamaged: a part is not what was backed up.
        StoreError, SealError.
    """
    key, kept = backup.schema.primary.name, bool(backup.digest.content)
    digest = DigestBuilder(key)
    reader = PoolReader(store, backup.objects)
    for part in backup.parts:
        for batch in read_part(reader, backup.schema, part, None if kept else [key]):
            digest.add(batch)
    found = digest.result()
    return found if kept else RowDigest(found.rows, found.keys, "")


def check_parts(store: ObjectStore, backup: CollectionBackup) -> None:
    """Reads every row of a collection's parts, one part after the other.

    Raises:
        BackupDamaged: a part is not what was backed up, or its rows are not the manifest's.
        StoreError, SealError.
    """
    found = digest_of_parts(store, backup)
    if found != backup.digest:
        raise BackupDamaged(
            f"the rows of `{backup.name}` are not those of its manifest: "
            f"{found.rows} rows read, {backup.digest.rows} backed up",
            subject=backup.name,
        )
