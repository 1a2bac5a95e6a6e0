"""The catalog: the backups of a store.

`backups/<id>/manifest.json` is what makes a backup, and is written last of all; the summary
beside it is derived from it. Listing reads summaries only. Neither is ever skipped in silence:
what can't be read is listed as such.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime

from kitestring.backup.lock import Lock
from kitestring.clients.store.connect import open_store
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import (
    BackupNotFound,
    BackupRefused,
    ManifestUnreadable,
    ObjectMissing,
    UsageError,
)
from kitestring.model.backup import MANIFEST_VERSION, BackupManifest, BackupSummary
from kitestring.model.codec import from_plain, to_plain
from kitestring.spec.loaded import LoadedSpec

BACKUPS = "backups"
LATEST = "latest"
TIERS = ("list", "sample", "full")
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


def new_backup_id(now: datetime) -> str:
    """An id that sorts by time: `20250131T013000Z-1a2b3c`."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def open_catalog(loaded: LoadedSpec) -> Catalog:
    """The catalog of a spec's backup store.

    Raises:
        BackupRefused: the spec names no store for backups.
        SecretMissing.
    """
    if loaded.spec.backup is None:
        raise BackupRefused(
            f"{loaded.file} does not say where backups go",
            hint="add `backup.store` to the spec: a directory or a bucket",
        )
    return Catalog(open_store(loaded, loaded.spec.backup.store))


class Catalog:
    """The backups of one store."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def summaries(self) -> list[BackupSummary]:
        """All backups, newest first. Those that can't be read have `readable=False`."""
        return [self._summary(id_, names) for id_, names in sorted(self._found().items())[::-1]]

    def newest(self, cluster: str | None = None) -> BackupManifest | None:
        """The newest backup (of a cluster) that can be read; None where there is none."""
        for summary in self.summaries():
            if summary.readable and cluster in (None, summary.cluster):
                try:
                    return self.manifest(summary.id)
                except ManifestUnreadable:
                    continue
        return None

    def resolve(self, name: str) -> str:
        """The id that `latest`, an id or the beginning of one means.

        Raises:
            BackupNotFound: none, or more than one. `latest` is the newest that can be read.
        """
        summaries = self.summaries()
        if name == LATEST:
            found = [s.id for s in summaries if s.readable][:1]
        else:
            found = [s.id for s in summaries if s.id.startswith(name)]
        if len(found) == 1:
            return found[0]
        listed = ", ".join(s.id for s in summaries[:5]) or "none"
        if found:
            raise BackupNotFound(f"`{name}` is the beginning of {len(found)} backups", subject=name)
        raise BackupNotFound(
            f"{self.store.url} has no backup `{name}`"
            if name != LATEST
            else f"{self.store.url} has no backup that can be read",
            hint=f"`kitestring backup create` makes one; there are: {listed}",
            subject=name,
        )

    def manifest(self, backup_id: str) -> BackupManifest:
        """One backup's manifest.

        Raises:
            BackupNotFound: there is no such backup.
            ManifestUnreadable: it is missing, cut short, or not what its summary says.
        """
        summary = self._summary(backup_id, self._found().get(_checked(backup_id), set()))
        if not summary.readable:
            raise ManifestUnreadable(
                f"the backup {backup_id} can't be read: {summary.problem}",
                hint="use another backup; `kitestring backup list` shows them",
                subject=backup_id,
            )
        data = self._get(_manifest_key(backup_id), backup_id)
        if hashlib.sha256(data).hexdigest() != summary.manifest_sha256:
            raise ManifestUnreadable(
                f"the manifest of {backup_id} is not the one that its summary names: it was cut "
                "short or changed",
                hint="use another backup; `kitestring backup list` shows them",
                subject=backup_id,
            )
        return self._decoded(data, backup_id)

    def mark_verified(self, backup_id: str, tier: str) -> None:
        """Notes in the summary that a verification of that tier has passed just now."""
        if tier not in TIERS:
            raise UsageError(f"`{tier}` is no tier: {', '.join(TIERS)}")
        summary = self._summary(backup_id, self._found().get(_checked(backup_id), set()))
        if summary.readable:
            self._put_summary(
                replace(summary, verified_at=int(time.time() * 1000), verified_tier=tier)
            )

    def publish(self, manifest: BackupManifest, lock: Lock) -> BackupSummary:
        """Makes a backup part of the catalog. Before this, it is not; after it, it is whole."""
        data = json.dumps(to_plain(manifest), indent=1).encode() + b"\n"
        lock.check()
        self.store.put(_manifest_key(manifest.id), data)
        summary = summarize(manifest, data)
        self._put_summary(summary)
        return summary

    def sweep_partials(self) -> list[str]:
        """Clears what runs that died have left behind; call it with the lock held.

        A folder without a manifest is removed. A manifest without a summary is a whole backup
        whose last step is missing: it gets its summary. Returns what was done, in words.
        """
        said = []
        for id_, names in self._found().items():
            if "manifest.json" not in names:
                for name in names:
                    self.store.delete(f"{BACKUPS}/{id_}/{name}")
                said.append(f"removed the remains of {id_}")
            elif "summary.json" not in names:
                data = self._get(_manifest_key(id_), id_)
                try:
                    self._put_summary(summarize(self._decoded(data, id_), data))
                except ManifestUnreadable:
                    continue  # it stays listed as unreadable
                said.append(f"completed {id_}")
        if swept := self.store.sweep(older_than=600.0):
            said.append(f"removed {swept} half-written files")
        return said

    def _found(self) -> dict[str, set[str]]:
        """Backup id -> the names of its objects."""
        found: dict[str, set[str]] = {}
        for info in self.store.list(f"{BACKUPS}/"):
            _, id_, name = info.key.split("/", 2)
            if _ID.fullmatch(id_):
                found.setdefault(id_, set()).add(name)
        return found

    def _summary(self, id_: str, names: set[str]) -> BackupSummary:
        if not names:
            raise BackupNotFound(
                f"{self.store.url} has no backup `{id_}`",
                hint="`kitestring backup list` shows them",
                subject=id_,
            )
        if "manifest.json" not in names:
            return _unreadable(id_, "its manifest is missing")
        if "summary.json" not in names:
            return _unreadable(id_, "its summary is missing; the next `backup create` writes it")
        try:
            summary = from_plain(BackupSummary, json.loads(self.store.get(_summary_key(id_))))
        except (ValueError, ObjectMissing) as error:
            return _unreadable(id_, f"its summary can't be read: {error}")
        if summary.id != id_:
            return _unreadable(id_, f"its summary is that of {summary.id}")
        return summary

    def _get(self, key: str, id_: str) -> bytes:
        try:
            return self.store.get(key)
        except ObjectMissing:
            raise ManifestUnreadable(f"the manifest of {id_} is missing", subject=id_) from None

    def _decoded(self, data: bytes, id_: str) -> BackupManifest:
        try:
            plain = json.loads(data)
            version = plain["schema_version"]
            if version != MANIFEST_VERSION:
                raise ValueError(f"it is of version {version}, this tool knows {MANIFEST_VERSION}")
            manifest = from_plain(BackupManifest, plain)
            if manifest.id != id_:
                raise ValueError(f"it is that of {manifest.id}")
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestUnreadable(
                f"the manifest of {id_} can't be read: {error}",
                hint="use another backup; `kitestring backup list` shows them",
                subject=id_,
            ) from None
        return manifest

    def _put_summary(self, summary: BackupSummary) -> None:
        data = json.dumps(to_plain(summary), indent=2).encode() + b"\n"
        self.store.put(_summary_key(summary.id), data)


def summarize(manifest: BackupManifest, data: bytes) -> BackupSummary:
    """The summary of a manifest whose bytes are `data`.

    A backup is read back whole, from the pool and against its checksums, before it is published:
    it begins as fully verified.
    """
    return BackupSummary(
        id=manifest.id,
        cluster=manifest.cluster,
        method=manifest.method,
        created_at=manifest.created_at,
        boundary=manifest.boundary,
        server_version=manifest.server_version,
        collections=tuple(c.name for c in manifest.collections),
        rows=manifest.rows,
        bytes=manifest.bytes,
        copied_bytes=manifest.copied_bytes,
        manifest_sha256=hashlib.sha256(data).hexdigest(),
        verified_at=manifest.finished_at,
        verified_tier="full",
    )


def _unreadable(id_: str, problem: str) -> BackupSummary:
    try:
        created = datetime.strptime(id_[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        at = int(created.timestamp() * 1000)
    except ValueError:
        at = 0
    return BackupSummary(
        id_, "", "", at, 0, "", (), 0, 0, 0, "", readable=False, problem=problem
    )  # fmt: skip


def _checked(id_: str) -> str:
    if not _ID.fullmatch(id_):
        raise BackupNotFound(
            f"`{id_}` is not the id of a backup",
            hint="`kitestring backup list` shows them",
            subject=id_,
        )
    return id_


def _manifest_key(id_: str) -> str:
    return f"{BACKUPS}/{id_}/manifest.json"


def _summary_key(id_: str) -> str:
    return f"{BACKUPS}/{id_}/summary.json"
