"""The exception tree: each class owns its code and its exit code.

Exit codes, the same for every verb and script: 0 clean, 1 error, 2 drift or a failed check or a
missed objective, 3 inconclusive, 64 wrong usage, 130 interrupted.
"""

from __future__ import annotations

from typing import ClassVar


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


class Interrupted(KitestringError):  # noqa: N818 - a state, not a fault
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
    """The spec has errors; the message lists all of them."""

    code = "spec.invalid"


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


class DimensionMismatch(MilvusError):
    """An embedder gives vectors of another dimension than the collection holds."""

    code = "embedding.dimension"


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
    """The embedding model could not be loaded or did not answer."""

    code = "ingest.embedder"


class LedgerBusy(IngestError):
    """Another ingestion holds the ledger of this collection."""

    code = "ingest.busy"


# --- object stores


class StoreError(KitestringError):
    """The object store answered with an error."""

    code = "store.error"


class StoreUnreachable(StoreError):
    """The object store does not answer, or the bucket is not there."""

    code = "store.unreachable"


class StoreFull(StoreError):
    """No space is left where objects are written."""

    code = "store.full"


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


class ManifestUnreadable(BackupError):
    """A manifest is missing, cut short or tampered with."""

    code = "backup.manifest-unreadable"


class BackupDamaged(BackupError):
    """Verification found objects missing or changed."""

    code, exit_code = "backup.damaged", 2


class RestoreRefused(BackupError):
    """A precondition of a restore does not hold; nothing was changed."""

    code = "restore.refused"


class RestoreIncomplete(BackupError):
    """Part of what the manifest lists could not be restored; the message names it."""

    code, exit_code = "restore.incomplete", 2


class DrillFailed(KitestringError):
    """A drill could not be carried out (a missed objective is no error but exit code 2)."""

    code = "drill.failed"
