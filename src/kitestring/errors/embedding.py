"""Ingestion, sign-off of vectors, and the change of an embedding model."""

from __future__ import annotations

from kitestring.errors.base import KitestringError


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


class CollectionUnfit(IngestError):
    """The collection on the server can't take the rows that ingestion would write."""

    code = "ingest.collection-unfit"


class CalibrationFailed(IngestError):
    """No score tells the right answers of the golden queries from the wrong ones."""

    code = "retrieval.calibration"


class GoldenInvalid(IngestError):
    """A file of golden queries has errors; the message names file and line."""

    code = "ingest.golden"


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
