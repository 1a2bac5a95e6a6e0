"""The catalog: the backups of a store.

`backups/<id>/manifest.json` is what makes a backup, and is written last of all; the summary
beside it is derived from it. Listing reads summaries only. Neither is ever skipped in silence:
what can't be read is listed as such.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from kitestring.backup.documents import MANIFEST, SIGNATURE, SUMMARY, Documents, key_of
from kitestring.backup.lock import Lock
from kitestring.backup.seal.sealer import place_of, sealer_of
from kitestring.backup.seal.sign import Signer, Verifier, signer_of, verifier_of
from kitestring.backup.seal.store import SealedStore, can_read
from kitestring.backup.summaries import (
    TIERS,
    difference,
    sealed_by,
    summarize,
    unverified,
    verified,
)
from kitestring.backup.trust import Trust
from kitestring.clients.store.connect import open_store
from kitestring.clients.store.protocol import ObjectInfo, ObjectStore
from kitestring.errors import (
    BackupNotFound,
    BackupRefused,
    ManifestUnreadable,
    SealKeyMissing,
    SignatureInvalid,
    UsageError,
)
from kitestring.model.backup import BackupManifest, BackupSummary
from kitestring.model.codec import to_plain
from kitestring.spec.loaded import LoadedSpec

_POOL = "pool"
LATEST = "latest"
_THREADS = 16


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
    store = SealedStore(
        open_store(loaded, loaded.spec.backup.store, checked=True), sealer_of(loaded)
    )
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
        self._trust = Trust(signer, verifier)
        self._documents = Documents(store, self._trust)

    def use(self, store: ObjectStore) -> None:
        """Works through another way to the same store from now on: one that tries again."""
        self.store = self._documents.store = store

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
        self._trust.prepare()
        if self.sealed is not None and self.sealed.sealer is not None:
            self.sealed.sealer.prepare(f"{_POOL}/{self.pool_name(cluster)}")

    def check_openable(self, manifest: BackupManifest) -> None:
        """Raises SealKeyMissing where this host has no key at all for the backup's objects."""
        how = sealed_by(manifest)
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
        found = sorted(self._documents.found().items(), reverse=True)
        with ThreadPoolExecutor(_THREADS, "summary") as executor:
            try:
                return list(executor.map(lambda item: self._documents.summary(*item), found))
            except BaseException:
                executor.shutdown(wait=True, cancel_futures=True)
                raise

    def newest_first(self) -> Iterator[BackupSummary]:
        """The same one after the other, for who needs only the first few."""
        for id_, names in sorted(self._documents.found().items(), reverse=True):
            yield self._documents.summary(id_, names)

    def newest(self, cluster: str | None = None) -> BackupManifest | None:
        """The newest backup (of a cluster) that can be read; None where there is none."""
        for summary in self.summaries():
            if summary.readable and cluster in (None, summary.cluster):
                try:
                    return self.manifest(summary.id)
                except ManifestUnreadable:
                    continue
        return None

    def resolve(self, name: str, cluster: str | None = None, *, unreadable: bool = False) -> str:
        """The id that `latest`, an id or the beginning of one means.

        Args:
            cluster: whose backup `latest` is; None for anybody's. An id is what it says.
            unreadable: `latest` may be one that can't be read: whose it is, nobody knows then.

        Raises:
            BackupNotFound: none, or more than one. `latest` is the newest that can be read.
            UsageError: the name is empty, as that of a variable that a script never set.
        """
        if not name.strip():
            raise UsageError(
                "no backup is named", hint="name an id, the beginning of one, or `latest`"
            )
        summaries = self.summaries()
        if name == LATEST:
            mine = [s for s in summaries if not s.readable or cluster in (None, s.cluster)]
            found = [s.id for s in mine if s.readable or unreadable][:1]
        else:
            found = [s.id for s in summaries if s.id.startswith(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise BackupNotFound(
                f"`{name}` is the beginning of {len(found)} backups",
                hint=f"name more of it: {_some(found)}",
                subject=name,
            )
        raise no_backup(self.store.url, "" if name == LATEST else name, cluster, summaries)

    def manifest(self, backup_id: str, *, alone: bool = False) -> BackupManifest:
        """One backup's manifest.

        Args:
            alone: also where its summary can't be read, and nothing vouches for it: for who holds
                all that it says against what is there.

        Raises:
            BackupNotFound: there is no such backup.
            ManifestUnreadable: it is missing, cut short, or not what its summary says; or the
                spec wants it signed, and it is not signed by a trusted key.
        """
        names = self._documents.names(backup_id)
        if self._trust.demanded and MANIFEST in names:
            data = self._documents.manifest(backup_id)
            try:
                self._documents.believe(backup_id, data)  # a summary adds nothing to a signature
            except SignatureInvalid as error:
                raise ManifestUnreadable(
                    f"the manifest of {backup_id} is not to be believed: {error.message}",
                    hint=error.hint or "use another backup; `kitestring backup list` shows them",
                    subject=backup_id,
                ) from None
            return self._documents.decoded(data, backup_id)
        summary = self._documents.summary(backup_id, names)
        if not summary.readable and not (alone and MANIFEST in names):
            raise ManifestUnreadable(
                f"the backup {backup_id} can't be read: {summary.problem}",
                hint=f"`kitestring backup verify {backup_id}` writes its summary again where the "
                "rest is whole; `kitestring backup list` shows the others"
                if MANIFEST in names
                else "use another backup; `kitestring backup list` shows them",
                subject=backup_id,
            )
        data = self._documents.manifest(backup_id)
        if summary.readable and hashlib.sha256(data).hexdigest() != summary.manifest_sha256:
            raise ManifestUnreadable(
                f"the manifest of {backup_id} is not the one that its summary names: it was cut "
                "short or changed",
                hint="use another backup; `kitestring backup list` shows them",
                subject=backup_id,
            )
        return self._documents.decoded(data, backup_id)

    def vouched_for(self, backup_id: str) -> bool:
        """Whether a signature or a summary says that a manifest is the one that was published."""
        if self._trust.demanded:
            return True
        return self._documents.summary(backup_id, self._documents.names(backup_id)).readable

    def mark_verified(self, backup_id: str, tier: str, *, anew: bool = False) -> bool:
        """Notes in the summary that a verification of that tier has passed just now; one that has
        proven more stays noted beside it.

        Args:
            anew: the summary is wrong (see `summary_problem`), and is made from the manifest.

        Returns False where the spec wants it signed and this host can't: then it is not noted.
        """
        if tier not in TIERS:
            raise UsageError(f"`{tier}` is no tier: {', '.join(TIERS)}")
        if not self._trust.can_claim:
            return False
        summary = self._documents.summary(backup_id, self._documents.names(backup_id))
        if anew:
            data = self._documents.manifest(backup_id)
            self._documents.believe(backup_id, data)
            summary = summarize(self._documents.decoded(data, backup_id), data)
        if summary.readable:
            now = int(time.time() * 1000)
            self._documents.put_summary(self._trust.claimed(verified(summary, tier, now)))
        return summary.readable

    def mark_damaged(self, backup_id: str) -> None:
        """Notes in the summary that a verification has failed: the backup counts as verified no
        more. Where the spec wants that signed and this host can't, the summary stays."""
        summary = self._documents.summary(backup_id, self._documents.names(backup_id))
        if summary.readable and summary.verified_at is not None and self._trust.can_claim:
            self._documents.put_summary(self._trust.claimed(unverified(summary)))

    def summary_problem(self, manifest: BackupManifest) -> str:
        """What is wrong with the summary of a backup that can be read; empty for nothing."""
        found = self._documents.summary(manifest.id, self._documents.names(manifest.id))
        if not found.readable:
            return found.problem
        data = self._documents.manifest(manifest.id)
        return difference(found, summarize(manifest, data))

    def mark(self, backup_id: str, at: int | None) -> None:
        """Notes in the summary since when (ms since the epoch) no rule keeps the backup; None
        takes the mark away."""
        summary = self._documents.summary(backup_id, self._documents.names(backup_id))
        if summary.readable and summary.marked_at != at:
            self._documents.put_summary(replace(summary, marked_at=at))

    def remove(self, backup_id: str) -> None:
        """Takes a backup out of the catalog; call it with the lock held. Its objects stay.

        Without its manifest it is none any more: whatever of it a crash leaves, is swept.

        Raises:
            BackupNotFound: there is no such backup.
            StoreError: the store refuses; the backup is whole as long as its manifest is there.
        """
        names = self._documents.names(backup_id)
        if not names:
            self._documents.summary(backup_id, names)
        for name in sorted(names, key=lambda name: (name != MANIFEST, name)):
            self.store.delete(key_of(backup_id, name))

    def publish(self, manifest: BackupManifest, lock: Lock) -> BackupSummary:
        """Makes a backup part of the catalog. Before this, it is not; after it, it is whole."""
        data = json.dumps(to_plain(manifest), indent=1).encode() + b"\n"
        signature = self._trust.signature(data, manifest.id)
        lock.check()
        if signature is not None:
            self.store.put(key_of(manifest.id, SIGNATURE), signature)
        self.store.put(key_of(manifest.id, MANIFEST), data)
        summary = summarize(manifest, data)
        if summary.sealed and not self.can_read:
            summary = unverified(summary)
        summary = self._trust.claimed(summary)
        self._documents.put_summary(summary)
        return summary

    def sweep_partials(self) -> list[str]:
        """Clears what runs that died have left behind; call it with the lock held.

        A folder without a manifest is removed. A manifest without a summary is a whole backup
        whose last step is missing: it gets its summary. Returns what was done, in words.
        """
        said = []
        for id_, names in self._documents.found().items():
            if MANIFEST not in names:
                for name in names:
                    self.store.delete(key_of(id_, name))
                said.append(f"removed the remains of {id_}")
            elif SUMMARY not in names:
                data = self._documents.manifest(id_)
                try:
                    self._documents.believe(id_, data)
                    summary = summarize(self._documents.decoded(data, id_), data)
                    self._documents.put_summary(self._trust.claimed(summary))
                except (ManifestUnreadable, SignatureInvalid):
                    continue  # it stays listed as unreadable
                said.append(f"completed {id_}")
        if swept := self.store.sweep(older_than=600.0):
            said.append(f"removed {swept} half-written files")
        return said


def no_backup(
    url: str, name: str, cluster: str | None, summaries: Sequence[BackupSummary], more: str = ""
) -> BackupNotFound:
    """What to say where there is no such backup, and what there is instead.

    Args:
        name: empty for any that can be read.
        more: put behind what is said.
    """
    of = f" of `{cluster}`" if cluster else ""
    what = f"no backup `{name}`" if name else f"no backup{of} that can be read"
    hint = "`kitestring backup create` makes one"
    if summaries:
        there = _some([s.id if s.readable else f"{s.id} (unreadable)" for s in summaries])
        whose = sorted({s.cluster for s in summaries if s.readable} - {cluster or ""})
        others = f" of {', '.join(f'`{c}`' for c in whose)}" if whose and not name else ""
        hint = f"there are: {there}{others}; an id can be named"
    return BackupNotFound(f"{url} has {what}{more}", hint=hint, subject=name or cluster or url)


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (", …" if len(ids) > 5 else "")
