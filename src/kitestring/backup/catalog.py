"""The catalog: the backups of a store.

`backups/<id>/manifest.json` is what makes a backup, and is written last of all; the summary
beside it is derived from it. Listing reads summaries only. Neither is ever skipped in silence:
what can't be read is listed as such.

Where the spec says `signing`, nothing is believed that no trusted key has signed: a manifest by
`manifest.sig` beside it (written ahead of it), over its bytes and its id; a summary by its field
`signature`, over `EVIDENCE`: its id, what the manifest's hash is, and when it was verified. What
a summary says beyond that (`marked_at`) could be done to a store by who can write to it anyway.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from kitestring.backup.lock import Lock
from kitestring.backup.seal.sealer import place_of, sealer_of
from kitestring.backup.seal.sign import Signer, Verifier, signer_of, verifier_of
from kitestring.backup.seal.store import SealedStore, can_read
from kitestring.clients.store.connect import open_store
from kitestring.clients.store.protocol import ObjectInfo, ObjectStore
from kitestring.errors import (
    BackupNotFound,
    BackupRefused,
    ManifestUnreadable,
    ObjectMissing,
    SealKeyMissing,
    SignatureInvalid,
    UsageError,
)
from kitestring.model.backup import MANIFEST_VERSION, BackupManifest, BackupSummary
from kitestring.model.codec import from_plain, to_plain
from kitestring.spec.loaded import LoadedSpec

BACKUPS = "backups"
_POOL = "pool"
LATEST = "latest"
TIERS = ("list", "sample", "full")
_THREADS = 16
EVIDENCE = (
    "id", "cluster", "method", "created_at", "finished_at", "boundary", "server_version",
    "collections", "partial", "rows", "bytes", "manifest_sha256", "verified_at", "verified_tier",
)  # fmt: skip
"""What the signature of a summary is over."""
_DERIVED = (*EVIDENCE[:-2], "copied_bytes", "reused_bytes", "sealed")
_LATER: dict[str, object] = {"finished_at": 0, "reused_bytes": 0, "sealed": "", "partial": ()}
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_TIER_OF = {"": "full", "all": "full", "new": "list", "keys": "list", "none": ""}
"""What a backup has been read back as by its making -> the tier that this comes to."""


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
    store = SealedStore(open_store(loaded, loaded.spec.backup.store), sealer_of(loaded))
    return Catalog(store, signer=signer_of(loaded), verifier=verifier_of(loaded))


class Catalog:
    """The backups of one store.

    Args:
        store: a `SealedStore` where objects are sealed.
        signer: who signs what is written; None for nobody.
        verifier: what is read has to be signed by one of its keys; None: signatures don't matter.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        signer: Signer | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        self.store = store
        self.sealed = store if isinstance(store, SealedStore) else None
        self._signer, self._verifier = signer, verifier

    @property
    def can_read(self) -> bool:
        """Whether what is sealed now can be read back by this host."""
        return can_read(self.sealed)

    def pool_name(self, cluster: str) -> str:
        """Where new objects of a cluster go, below `pool/`: objects that are sealed to others, or
        not at all, are not there."""
        return self.sealed.pool_name(cluster) if self.sealed else cluster

    def pooled(self, cluster: str) -> Iterator[ObjectInfo]:
        """Objects of the pool that a new backup may build on: in clear where it is, or sealed to
        the same recipients."""
        for found in self.store.list(f"{_POOL}/{self.pool_name(cluster)}/"):
            if self.pool_name(cluster) != cluster or place_of(found.key) is None:
                yield found

    def prepare(self, cluster: str) -> None:
        """Finds out before anything is done what would keep a backup from being published.

        Raises:
            BackupRefused: the spec wants it signed, and this host can't.
            SealError, SecretMissing: a key is missing, or of no use.
        """
        if self._verifier is not None:
            if self._signer is None:
                raise BackupRefused(
                    "the spec wants manifests signed, and names no private key",
                    hint="name it at `backup.signing.key` on hosts that make backups",
                )
            if self._signer.key_id not in self._verifier.trusted:
                raise BackupRefused(
                    f"the key at `backup.signing.key` ({self._signer.key_id[:23]}…) is not among "
                    "`backup.signing.trusted`: nobody would believe the backup",
                    hint="add its public key; `kitestring backup keys show` names them",
                )
        if self.sealed is not None and self.sealed.sealer is not None:
            self.sealed.sealer.prepare(f"{_POOL}/{self.pool_name(cluster)}")

    def check_openable(self, manifest: BackupManifest) -> None:
        """Raises SealKeyMissing where this host has no key at all for the backup's objects."""
        how = _sealed_by(manifest)
        sealer = self.sealed.sealer if self.sealed else None
        if how and (sealer is None or not sealer.can_open):
            raise SealKeyMissing(
                f"the backup {manifest.id} is sealed by {how}, and the spec names no key that "
                "opens it",
                hint="name an identity at `backup.encryption.identity`"
                if sealer
                else "write `backup.encryption` with the key that opens it",
                subject=manifest.id,
            )

    def summaries(self) -> list[BackupSummary]:
        """All backups, newest first. Those that can't be read have `readable=False`.

        Reads one small object for each, several at a time.
        """
        found = sorted(self._found().items(), reverse=True)
        with ThreadPoolExecutor(_THREADS, "summary") as executor:
            try:
                return list(executor.map(lambda item: self._summary(*item), found))
            except BaseException:
                executor.shutdown(wait=True, cancel_futures=True)
                raise

    def newest_first(self) -> Iterator[BackupSummary]:
        """The same one after the other, for who needs only the first few."""
        for id_, names in sorted(self._found().items(), reverse=True):
            yield self._summary(id_, names)

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
            ManifestUnreadable: it is missing, cut short, or not what its summary says; or the
                spec wants it signed, and it is not signed by a trusted key.
        """
        names = self._names(backup_id)
        if self._verifier is not None and "manifest.json" in names:
            data = self._get(_manifest_key(backup_id), backup_id)
            try:
                self._believe(backup_id, data)  # a summary adds nothing to a signature
            except SignatureInvalid as error:
                raise ManifestUnreadable(
                    f"the manifest of {backup_id} is not to be believed: {error.message}",
                    hint=error.hint or "use another backup; `kitestring backup list` shows them",
                    subject=backup_id,
                ) from None
            return self._decoded(data, backup_id)
        summary = self._summary(backup_id, names)
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

    def mark_verified(self, backup_id: str, tier: str, *, anew: bool = False) -> bool:
        """Notes in the summary that a verification of that tier has passed just now.

        Args:
            anew: the summary is wrong (see `summary_problem`), and is made from the manifest.

        Returns False where the spec wants it signed and this host can't: then it is not noted.
        """
        if tier not in TIERS:
            raise UsageError(f"`{tier}` is no tier: {', '.join(TIERS)}")
        if self._verifier is not None and self._signer is None:
            return False
        summary = self._summary(backup_id, self._names(backup_id))
        if anew:
            data = self._get(_manifest_key(backup_id), backup_id)
            self._believe(backup_id, data)
            summary = summarize(self._decoded(data, backup_id), data)
        if summary.readable:
            now = int(time.time() * 1000)
            self._put_summary(self._claimed(replace(summary, verified_at=now, verified_tier=tier)))
        return summary.readable

    def summary_problem(self, manifest: BackupManifest) -> str:
        """What is wrong with the summary of a backup that can be read; empty for nothing."""
        found = self._summary(manifest.id, self._names(manifest.id))
        if not found.readable:
            return found.problem
        wanted = summarize(manifest, self._get(_manifest_key(manifest.id), manifest.id))
        for name in _DERIVED:
            told, true = getattr(found, name), getattr(wanted, name)
            # a summary of an older version lacks some
            if told != true and not (name in _LATER and told == _LATER[name]):
                return f"says that `{name}` is {told}, and the manifest makes it {true}"
        return ""

    def mark(self, backup_id: str, at: int | None) -> None:
        """Notes in the summary since when (ms since the epoch) no rule keeps the backup; None
        takes the mark away."""
        summary = self._summary(backup_id, self._names(backup_id))
        if summary.readable and summary.marked_at != at:
            self._put_summary(replace(summary, marked_at=at))

    def remove(self, backup_id: str) -> None:
        """Takes a backup out of the catalog; call it with the lock held. Its objects stay.

        Without its manifest it is none any more: whatever of it a crash leaves, is swept.

        Raises:
            BackupNotFound: there is no such backup.
            StoreError: the store refuses; the backup is whole as long as its manifest is there.
        """
        names = self._names(backup_id)
        if not names:
            self._summary(backup_id, names)
        for name in sorted(names, key=lambda name: (name != "manifest.json", name)):
            self.store.delete(f"{BACKUPS}/{backup_id}/{name}")

    def publish(self, manifest: BackupManifest, lock: Lock) -> BackupSummary:
        """Makes a backup part of the catalog. Before this, it is not; after it, it is whole."""
        data = json.dumps(to_plain(manifest), indent=1).encode() + b"\n"
        signature = None
        if self._signer is not None:
            signature = self._signer.sign_document(data, f"manifest {manifest.id}")
        lock.check()
        if signature is not None:
            self.store.put(_signature_key(manifest.id), signature)
        self.store.put(_manifest_key(manifest.id), data)
        summary = summarize(manifest, data)
        if summary.sealed and not self.can_read:
            summary = replace(summary, verified_at=None, verified_tier="")
        summary = self._claimed(summary)
        self._put_summary(summary)
        return summary

    def _claimed(self, summary: BackupSummary) -> BackupSummary:
        """The summary with the signature of this host, where it has a key."""
        if self._signer is None:
            return replace(summary, signature="")
        text = self._signer.sign_document(_evidence(summary), f"summary {summary.id}").decode()
        return replace(summary, signed=self._signer.key_id, signature=text)

    def _believe(self, id_: str, data: bytes) -> None:
        """Raises SignatureInvalid for a manifest that no trusted key has signed under this id."""
        if self._verifier is None:
            return
        try:
            signature = self.store.get(_signature_key(id_))
        except ObjectMissing:
            signature = None
        self._verifier.check_document(data, f"manifest {id_}", signature)

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
                    self._believe(id_, data)
                    self._put_summary(self._claimed(summarize(self._decoded(data, id_), data)))
                except (ManifestUnreadable, SignatureInvalid):
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

    def _names(self, backup_id: str) -> set[str]:
        """The names of one backup's objects."""
        prefix = f"{BACKUPS}/{_checked(backup_id)}/"
        return {info.key.removeprefix(prefix) for info in self.store.list(prefix)}

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
        if self._verifier is not None:
            try:
                key = self._verifier.check_document(
                    _evidence(summary),
                    f"summary {id_}",
                    summary.signature.encode() if summary.signature else None,
                )
                if summary.signed != key:
                    raise SignatureInvalid("it names another key than has signed it")
            except SignatureInvalid as error:
                return _unreadable(
                    id_,
                    f"its summary is not to be believed: {error.message}; a verification writes "
                    "it again where its manifest is",
                )
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

    A backup is read back from the pool and against its checksums before it is published: it
    begins as verified as that makes it (`BackupManifest.read_back`).
    """
    tier = _TIER_OF.get(manifest.read_back, "")
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
        verified_at=manifest.finished_at if tier else None,
        verified_tier=tier,
        finished_at=manifest.finished_at,
        reused_bytes=manifest.reused_bytes,
        partial=tuple(c.name for c in manifest.collections if c.filter),
        sealed=_sealed_by(manifest),
    )


def _sealed_by(manifest: BackupManifest) -> str:
    """`age`, `kms`, or empty where its objects are in clear."""
    places = (place_of(o.key) for c in manifest.collections for o in c.objects)
    return next((place.how for place in places if place), "")


def _evidence(summary: BackupSummary) -> bytes:
    plain = to_plain(summary)
    return json.dumps({name: plain[name] for name in EVIDENCE}, sort_keys=True).encode()


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


def _signature_key(id_: str) -> str:
    return f"{BACKUPS}/{id_}/manifest.sig"
