"""The documents that make a backup, as they lie in its folder `backups/<id>/`."""

from __future__ import annotations

import json
import re
import secrets
from datetime import UTC, datetime

from kitestring.backup.summaries import unreadable
from kitestring.backup.trust import Trust
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import BackupNotFound, ManifestUnreadable, ObjectMissing, SignatureInvalid
from kitestring.model.backup import MANIFEST_VERSION, BackupManifest, BackupSummary
from kitestring.model.codec import from_plain, to_plain

BACKUPS = "backups"
MANIFEST, SUMMARY, SIGNATURE = "manifest.json", "summary.json", "manifest.sig"
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


def new_backup_id(now: datetime) -> str:
    """An id that sorts by time: `20250131T013000Z-1a2b3c`."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def key_of(backup_id: str, name: str) -> str:
    """Where a document of a backup is in the store."""
    return f"{BACKUPS}/{backup_id}/{name}"


class Documents:
    """Those of one store, read as far as they can be believed."""

    def __init__(self, store: ObjectStore, trust: Trust) -> None:
        self.store, self.trust = store, trust

    def found(self) -> dict[str, set[str]]:
        """Backup id -> the names of its objects."""
        found: dict[str, set[str]] = {}
        for info in self.store.list(f"{BACKUPS}/"):
            id_, _, name = info.key.removeprefix(f"{BACKUPS}/").partition("/")
            if name and _ID.fullmatch(id_):  # a bucket's console leaves markers of folders
                found.setdefault(id_, set()).add(name)
        return found

    def names(self, backup_id: str) -> set[str]:
        """The names of one backup's objects."""
        prefix = f"{BACKUPS}/{_checked(backup_id)}/"
        return {info.key.removeprefix(prefix) for info in self.store.list(prefix)}

    def summary(self, id_: str, names: set[str]) -> BackupSummary:
        """A backup's summary; one with `readable=False` where it can't be read or believed.

        Raises:
            BackupNotFound: there are no documents of it.
        """
        if not names:
            raise BackupNotFound(
                f"{self.store.url} has no backup `{id_}`",
                hint="`kitestring backup list` shows them",
                subject=id_,
            )
        if MANIFEST not in names:
            return unreadable(id_, "its manifest is missing")
        if SUMMARY not in names:
            return unreadable(id_, self._without_summary(id_))
        try:
            summary = from_plain(BackupSummary, json.loads(self.store.get(key_of(id_, SUMMARY))))
        except (ValueError, ObjectMissing) as error:
            return unreadable(id_, f"its summary can't be read: {error}")
        if summary.id != id_:
            return unreadable(id_, f"its summary is that of {summary.id}")
        try:
            self.trust.check_summary(summary)
        except SignatureInvalid as error:
            return unreadable(
                id_,
                f"its summary is not to be believed: {error.message}; a verification writes it "
                "again where its manifest is",
            )
        return summary

    def _without_summary(self, id_: str) -> str:
        """What that comes to: the next backup writes a summary of a manifest that can be read."""
        try:
            self.decoded(self.manifest(id_), id_)
        except ManifestUnreadable as error:
            return f"its summary is missing, and {error.message}"
        return "its summary is missing; the next `backup create` writes it"

    def manifest(self, id_: str) -> bytes:
        """Its bytes. Raises ManifestUnreadable where there is none."""
        try:
            return self.store.get(key_of(id_, MANIFEST))
        except ObjectMissing:
            raise ManifestUnreadable(f"the manifest of {id_} is missing", subject=id_) from None

    def decoded(self, data: bytes, id_: str) -> BackupManifest:
        """The manifest whose bytes are `data`. Raises ManifestUnreadable."""
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

    def put_summary(self, summary: BackupSummary) -> None:
        """Writes a summary in its place, as it is."""
        data = json.dumps(to_plain(summary), indent=2).encode() + b"\n"
        self.store.put(key_of(summary.id, SUMMARY), data)

    def believe(self, id_: str, data: bytes) -> None:
        """Raises SignatureInvalid for a manifest that no trusted key has signed under this id."""
        if not self.trust.demanded:
            return
        try:
            signature = self.store.get(key_of(id_, SIGNATURE))
        except ObjectMissing:
            signature = None
        self.trust.check(data, id_, signature)


def _checked(id_: str) -> str:
    if not _ID.fullmatch(id_):
        raise BackupNotFound(
            f"`{id_}` is not the id of a backup",
            hint="`kitestring backup list` shows them",
            subject=id_,
        )
    return id_
