"""The rows of a logical backup's Parquet files, read again and held against the manifest."""

from __future__ import annotations

from kitestring.backup.logical.rows import read_part
from kitestring.backup.pool import PoolReader
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import BackupDamaged
from kitestring.model.backup import CollectionBackup, RowDigest
from kitestring.model.digest import DigestBuilder


def check_parts(store: ObjectStore, backup: CollectionBackup) -> None:
    """Reads every row of a collection's parts, one part after the other.

    Raises:
        BackupDamaged: a part is not what was backed up, or its rows are not the manifest's.
        StoreError, SealError.
    """
    key, kept = backup.schema.primary.name, bool(backup.digest.content)
    digest = DigestBuilder(key)
    reader = PoolReader(store, backup.objects)
    for part in backup.parts:
        for batch in read_part(reader, backup.schema, part, None if kept else [key]):
            digest.add(batch)
    found = digest.result()
    if not kept:  # content was never taken
        found = RowDigest(found.rows, found.keys, "")
    if found != backup.digest:
        raise BackupDamaged(
            f"the rows of `{backup.name}` are not those of its manifest: "
            f"{found.rows} rows read, {backup.digest.rows} backed up",
            subject=backup.name,
        )
