"""What an ingestion could not write."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A passage, or a whole document, that was parked. Times are ms since the epoch."""

    tenant: str
    document: str
    chunk: int | None  # its number in the document; None: the document as a whole
    reason: str
    attempts: int  # runs that tried, each with the retries of its own
    first_at: int
    last_at: int
    path: str = ""  # the document's file
    hint: str = ""

    @property
    def what(self) -> str:
        """Document and chunk, as a user reads them."""
        return self.document if self.chunk is None else f"{self.document}#{self.chunk}"
