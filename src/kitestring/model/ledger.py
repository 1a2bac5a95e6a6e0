"""What ingestion says it wrote."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row that ingestion has written and read back as acknowledged."""

    key: str
    doc_id: str
    chunk_index: int
    content_hash: str
    embedding_model: str
    chunker: str
    last_embedded_at: int  # ms since the epoch
    extra: str = ""  # digest of what the row has beside the fields of the row contract
