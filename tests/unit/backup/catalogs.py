"""A catalog of backups that were never made: manifests, and objects of the pool they name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.drill_history import open_history
from kitestring.backup.lock import held
from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.protocol import bare
from kitestring.model.backup import (
    BackupManifest,
    BackupSummary,
    CollectionBackup,
    RowDigest,
    SegmentBackup,
    StoredObject,
)
from kitestring.model.collection import Field, Schema
from kitestring.model.drill import DrillRecord
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

SPEC = """\
version: 1
cluster: {{name: unit}}
connection: {{uri: "http://127.0.0.1:19530"}}
state: state
storage: {{type: local, path: milvus}}
backup:
  store: {{type: local, path: backups}}
{retention}
"""
SCHEMA = Schema((Field("id", "VARCHAR", primary=True, max_length=64),))
HOUR, DAY = 3_600_000, 86_400_000


def write_spec(folder: Path, retention: str = "") -> LoadedSpec:
    """A spec with `retention`, such as `{last: 2, grace: 1h}`."""
    file = folder / "cluster.yaml"
    line = f"  retention: {retention}" if retention else ""
    file.write_text(SPEC.format(retention=line))
    return load(file)


def put_object(catalog: Catalog, name: str, *, size: int = 10, at: int | None = None) -> None:
    """An object of the pool that was written at `at` (ms since the epoch)."""
    key = f"pool/unit/{name}"
    catalog.store.put(key, _content(name, size))
    if at is not None and isinstance(bare(catalog.store), LocalStore):
        path = Path(catalog.store.server_path(key))
        os.utime(path, (at / 1000, at / 1000))


def make_backup(
    loaded: LoadedSpec,
    at: int,
    objects: Mapping[str, int],
    *,
    collections: tuple[str, ...] = ("docs",),
    cluster: str = "unit",
) -> BackupSummary:
    """Publishes a backup with the boundary `at`, whose objects have names and sizes; those that
    are not in the pool yet are put there."""
    catalog = open_catalog(loaded)
    stored = []
    for name, size in objects.items():
        key = f"pool/unit/{name}"
        if catalog.store.head(key) is None:
            put_object(catalog, name, size=size, at=at)
        content = _content(name, size)
        stored.append(StoredObject(key, name, size, hashlib.sha256(content).hexdigest()))
    when = datetime.fromtimestamp(at / 1000, UTC)
    parts = tuple(
        CollectionBackup(
            name, 1, SCHEMA, 1, (), "Bounded", {}, (), (), False, 0,
            (SegmentBackup(1, 1, 1, tuple(stored), ()),), RowDigest(1, "", ""),
        )
        for name in collections
    )  # fmt: skip
    manifest = BackupManifest(
        f"{when:%Y%m%dT%H%M%SZ}-{at % 16**6:06x}", cluster, "physical", at, at, at, "v2.3.5", "0",
        parts, read_back="all",
    )  # fmt: skip
    with held(catalog.store, "a test") as lock:
        return catalog.publish(manifest, lock)


def make_drill(loaded: LoadedSpec, of: BackupSummary, at: int, *, passed: bool = True) -> str:
    """A record of a drill of a backup."""
    when = datetime.fromtimestamp(at / 1000, UTC)
    record = DrillRecord(
        f"{when:%Y%m%dT%H%M%SZ}-{at % 16**6:06x}", of.id, "unit", "v2.3.5", at, at, of.boundary,
        1.0, 2.0, (), (), (), passed,
    )  # fmt: skip
    open_history(loaded).write(record)
    return record.id


def pool(loaded: LoadedSpec) -> list[str]:
    """Names of the objects of the pool."""
    catalog = open_catalog(loaded)
    return [i.key.removeprefix("pool/unit/") for i in catalog.store.list("pool/unit/")]


def _content(name: str, size: int) -> bytes:
    return (name.encode() * size)[:size]
