"""The exception tree: each class owns its code and its exit code.

Exit codes, the same for every verb and script: 0 clean, 1 error, 2 drift or a failed check or a
missed objective, 3 inconclusive, 64 wrong usage, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class KitestringError(Exception):
    """Something a user can act on. `message` says what happened, `hint` what to do."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", subject: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.subject = subject

    def as_dict(self) -> dict[str, str]:
        """The error as JSON carries it."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "subject": self.subject,
        }


class UsageError(KitestringError):
    """Flags or arguments that do not go together."""

    code, exit_code = "usage", 64


class ScopeRefused(KitestringError):
    """A question that is not within one tenant: `kitestring.tenancy` makes no filter for it."""

    code, exit_code = "tenancy.scope", 64


class MetricsUnreadable(KitestringError):
    """The metrics of a server can't be had, or are none."""

    code = "metrics.unreadable"


class Interrupted(KitestringError):
    """The user asked us to stop."""

    code, exit_code = "interrupted", 130


# --- spec


class SpecError(KitestringError):
    """The base of everything wrong with a spec file."""

    code = "spec.error"


class SpecNotFound(SpecError):
    """There is no spec file at the path."""

    code = "spec.not-found"


class SpecInvalid(SpecError):
    """The spec has errors; the message lists all of them, and `problems` holds them one by one."""

    code = "spec.invalid"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        subject: str = "",
        problems: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.problems = tuple(problems)


class SecretMissing(SpecError):
    """The environment variable or file that a secret reference names is not there."""

    code = "spec.secret-missing"


# --- the server


class MilvusError(KitestringError):
    """Milvus answered with an error."""

    code = "milvus.error"


class ServerUnreachable(MilvusError):
    """Nothing answers at the URI within the deadline."""

    code = "milvus.unreachable"


class AuthenticationFailed(MilvusError):
    """The token or password is wrong."""

    code = "milvus.authentication"


class PermissionDenied(MilvusError):
    """The user may not do this."""

    code = "milvus.permission"


class CollectionNotFound(MilvusError):
    """The server has no collection (or alias) of that name."""

    code = "milvus.collection-not-found"


class CollectionNotLoaded(MilvusError):
    """The collection has to be loaded for what was asked."""

    code = "milvus.not-loaded"


class RowsHidden(MilvusError):
    """The server counts rows that it does not give: what was read is not everything."""

    code = "milvus.rows-hidden"


class DimensionMismatch(MilvusError):
    """An embedder gives vectors of another dimension than the collection holds."""

    code = "embedding.dimension"


# --- Kubernetes and provisioning


class KubernetesError(KitestringError):
    """The Kubernetes API answered with an error."""

    code = "kubernetes.error"


class KubernetesUnreachable(KubernetesError):
    """No kubeconfig, no such context, or nothing answers at the API server's address."""

    code = "kubernetes.unreachable"


class KubernetesDenied(KubernetesError):
    """The API server does not let this user do it."""

    code = "kubernetes.denied"


class ManifestRejected(KubernetesError):
    """The API server does not accept a manifest; the message names the field, and `fields` holds
    the dotted paths that the server named."""

    code = "kubernetes.rejected"

    def __init__(
        self, message: str, *, hint: str = "", subject: str = "", fields: Sequence[str] = ()
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.fields = tuple(fields)


class ProvisionError(KitestringError):
    """What was asked for can't be provisioned; the message says why."""

    code = "provision.error"


class ProvisionRefused(ProvisionError):
    """A change that would lose data or can't be made on a live cluster; nothing was touched."""

    code = "provision.refused"


class CapacityExceeded(ProvisionError):
    """Collections need more memory than the nodes that they are to be loaded on have."""

    code = "provision.capacity"


# --- drift


class BaselineUnreadable(KitestringError):
    """There is no baseline at the path, or none that can be read."""

    code = "drift.baseline-unreadable"


class BaselineMismatch(KitestringError):
    """The baseline is of another cluster or spec."""

    code = "drift.baseline-mismatch"


# --- enforcement


class EnforceError(KitestringError):
    """The cluster could not be brought back to its spec."""

    code = "enforce.error"


class EnforceBusy(EnforceError):
    """Another enforcement of the same kind holds the lock."""

    code = "enforce.busy"


class EnforceRefused(EnforceError):
    """A change that would lose rows; nothing was touched."""

    code = "enforce.refused"


class DiskHeadroom(EnforceError):
    """The disk has too little room for a compaction; it was not started."""

    code = "enforce.disk-headroom"


# --- the embedded stack


class LocalError(KitestringError):
    """The embedded stack could not do what was asked."""

    code = "local.error"


class LocalStartFailed(LocalError):
    """The server process ended, or did not answer before the deadline."""

    code = "local.start-failed"


class LocalNotRunning(LocalError):
    """No embedded server runs for this data directory."""

    code = "local.not-running"


# --- ingestion


class IngestError(KitestringError):
    """Ingestion could not go on."""

    code = "ingest.error"


class ExtractFailed(IngestError):
    """A document could not be read."""

    code = "ingest.extract"


class EmbedderFailed(IngestError):
    """The embedding model could not be loaded or did not answer.

    `transient`: the same texts may be embedded later. `texts`: it is these texts that the model
    does not take; others may be.
    """

    code = "ingest.embedder"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        subject: str = "",
        transient: bool = False,
        texts: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.transient = transient
        self.texts = texts


class LedgerBusy(IngestError):
    """Another ingestion holds the ledger of this collection."""

    code = "ingest.busy"


class LedgerUnreadable(IngestError):
    """The ledger is damaged, of a newer version, or another cluster's."""

    code = "ingest.ledger"


class MixedRows(IngestError):
    """Rows of another model or chunker are there; writing would mix them."""

    code = "ingest.mixed"


class SignOffError(KitestringError):
    """The base of everything wrong with a sign-off of embedding vectors."""

    code = "embedding.sign-off"


class SignOffUnreadable(SignOffError):
    """A sign-off is damaged, of another version, or another cluster's."""

    code = "embedding.sign-off-unreadable"


class SignOffExists(SignOffError):
    """There is a sign-off already; nothing was replaced."""

    code = "embedding.sign-off-exists"


class SignOffRefused(SignOffError):
    """The stored vectors do not look like the model's; nothing was written."""

    code, exit_code = "embedding.sign-off-refused", 2


class CollectionUnfit(IngestError):
    """The collection on the server can't take the rows that ingestion would write."""

    code = "ingest.collection-unfit"


class CalibrationFailed(IngestError):
    """No score tells the right answers of the golden queries from the wrong ones."""

    code = "retrieval.calibration"


class GoldenInvalid(IngestError):
    """A file of golden queries has errors; the message names file and line."""

    code = "ingest.golden"


# --- workers


class WorkerLost(KitestringError):
    """A process or task that worked on a part of a plan ended before it was done."""

    code = "worker.lost"


class WorkersUnreachable(KitestringError):
    """The cluster that a plan should run on is not there."""

    code = "worker.unreachable"


# --- re-embedding


class RegistryUnreadable(SpecError):
    """The record of which collection and model serve a name is damaged or another cluster's."""

    code = "registry.unreadable"


class NotResolved(KitestringError):
    """Nobody knows which collection or model serves a name."""

    code = "registry.not-resolved"


class ReembedError(KitestringError):
    """A re-embedding could not go on; nothing that clients use has changed."""

    code = "reembed.error"


class ReembedRefused(ReembedError):
    """A precondition does not hold; nothing was changed."""

    code = "reembed.refused"


class ReembedBusy(ReembedError):
    """Another process works at the re-embedding of the same collection."""

    code = "reembed.busy"


class ReembedUnproven(ReembedError):
    """Rows of the old collection are not proven to be in the new one; nothing was dropped."""

    code, exit_code = "reembed.unproven", 2


# --- object stores


class StoreError(KitestringError):
    """The object store answered with an error. `transient`: the same call may succeed later."""

    code = "store.error"

    def __init__(
        self, message: str, *, hint: str = "", subject: str = "", transient: bool = False
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.transient = transient


class StoreUnreachable(StoreError):
    """The object store does not answer, or the bucket is not there."""

    code = "store.unreachable"


class StoreFull(StoreError):
    """No space is left where objects are written."""

    code = "store.full"


class StoreUnfit(StoreError):
    """A bucket lacks what the spec says it has: versioning, object lock."""

    code = "store.unfit"


class ObjectMissing(StoreError):
    """An object that should be there is not."""

    code = "store.object-missing"


class SegmentUnreadable(KitestringError):
    """A segment file is not of a form that this reader knows; it names the file."""

    code = "segments.unreadable"


# --- backups and drills


class BackupError(KitestringError):
    """The base of everything that stops a backup or restore."""

    code = "backup.error"


class BackupNotFound(BackupError):
    """The catalog has no backup of that name."""

    code = "backup.not-found"


class BackupRefused(BackupError):
    """A precondition of a backup does not hold; nothing was written."""

    code = "backup.refused"


class BackupBusy(BackupError):
    """Another backup holds the lock of this catalog."""

    code = "backup.busy"


class ImportRefused(BackupError):
    """Another tool's backup is broken, or holds what can't be taken over; nothing was written."""

    code = "backup.import-refused"


class ManifestUnreadable(BackupError):
    """A manifest is missing, cut short or tampered with."""

    code = "backup.manifest-unreadable"


class BackupDamaged(BackupError):
    """Verification found objects missing or changed."""

    code, exit_code = "backup.damaged", 2


class SealError(BackupError):
    """Something of encryption or signatures does not go; the base of what follows."""

    code = "seal.error"


class SealKeyMissing(SealError):
    """What is asked for needs a key that the spec does not name."""

    code = "seal.key-missing"


class SealKeyInvalid(SealError):
    """A key is not of the form that its place in the spec wants. Secrets are never shown."""

    code = "seal.key-invalid"


class WrongKey(SealError):
    """The keys at hand do not open what was sealed to others."""

    code = "seal.wrong-key"


class KeyServiceFailed(SealError):
    """The key service (KMS) does not answer, or refuses."""

    code = "seal.key-service"


class SignatureInvalid(SealError):
    """A signature is missing, of a key that is not trusted, or of something else."""

    code = "seal.signature"


class SealBroken(BackupDamaged):
    """A sealed object was changed, cut short or put in another's place."""

    code = "seal.broken"


class RestoreRefused(BackupError):
    """A precondition of a restore does not hold; nothing was changed."""

    code = "restore.refused"


class RestoreIncomplete(BackupError):
    """Part of what the manifest lists could not be restored; the message names it."""

    code, exit_code = "restore.incomplete", 2


class DrillFailed(KitestringError):
    """A drill could not be carried out (a missed objective is no error but exit code 2)."""

    code = "drill.failed"


class DrillNotFound(KitestringError):
    """The drill history has no record of that name."""

    code = "drill.not-found"


class DrillRecordUnreadable(KitestringError):
    """A record of the drill history is cut short, changed or of another version."""

    code = "drill.record-unreadable"


class DrillRefused(DrillFailed):
    """A precondition of a drill does not hold (such as: the target is the source)."""

    code = "drill.refused"
