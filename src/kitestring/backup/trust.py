"""Who signs what a catalog writes, and whose signatures it believes.

Where the spec says `signing`, nothing is believed that no trusted key has signed: a manifest by
`manifest.sig` beside it, over its bytes and its id; a summary by its field `signature`, over its
id, what the manifest's hash is, and when it was verified (`summaries.evidence`). What a summary
says beyond that (`marked_at`) could be done to a store by who can write to it anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kitestring.backup.seal.sign import Signer, Verifier
from kitestring.backup.summaries import evidence
from kitestring.errors import BackupRefused, SignatureInvalid
from kitestring.model.backup import BackupSummary


@dataclass(frozen=True, slots=True)
class Trust:
    """`signer`: None for nobody. `verifier`: None where signatures don't matter."""

    signer: Signer | None = None
    verifier: Verifier | None = None

    @property
    def demanded(self) -> bool:
        """Whether only what is signed is believed."""
        return self.verifier is not None

    @property
    def can_claim(self) -> bool:
        """Whether what this host writes would be believed."""
        return self.verifier is None or self.signer is not None

    def prepare(self) -> None:
        """Raises BackupRefused where nobody would believe what this host signs; SealError,
        SecretMissing where a key is missing, or of no use."""
        if self.verifier is None:
            return
        if self.signer is None:
            raise BackupRefused(
                "the spec wants manifests signed, and names no private key",
                hint="name it at `backup.signing.key` on hosts that make backups",
            )
        if self.signer.key_id not in self.verifier.trusted:
            raise BackupRefused(
                f"the key at `backup.signing.key` ({self.signer.key_id[:23]}…) is not among "
                "`backup.signing.trusted`: nobody would believe the backup",
                hint="add its public key; `kitestring backup keys show` names them",
            )

    def signature(self, data: bytes, id_: str) -> bytes | None:
        """Of a manifest's bytes; None where nobody signs."""
        return None if self.signer is None else self.signer.sign_document(data, f"manifest {id_}")

    def check(self, data: bytes, id_: str, signature: bytes | None) -> None:
        """Raises SignatureInvalid for a manifest that no trusted key has signed under this id."""
        if self.verifier is not None:
            self.verifier.check_document(data, f"manifest {id_}", signature)

    def claimed(self, summary: BackupSummary) -> BackupSummary:
        """The summary with the signature of this host, where it has a key."""
        if self.signer is None:
            return replace(summary, signature="")
        text = self.signer.sign_document(evidence(summary), f"summary {summary.id}").decode()
        return replace(summary, signed=self.signer.key_id, signature=text)

    def check_summary(self, summary: BackupSummary) -> None:
        """Raises SignatureInvalid for a summary that no trusted key has signed."""
        if self.verifier is None:
            return
        key = self.verifier.check_document(
            evidence(summary),
            f"summary {summary.id}",
            summary.signature.encode() if summary.signature else None,
        )
        if summary.signed != key:
            raise SignatureInvalid("it names another key than has signed it")
