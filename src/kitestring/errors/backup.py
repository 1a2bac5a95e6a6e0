"""Backups, their seals, restores and drills."""

from __future__ import annotations

from kitestring.errors.base import KitestringError


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

    code, exit_code = "backup.manifest-unreadable", 2


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
