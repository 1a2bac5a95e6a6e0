"""A collection's documents, set against what ingestion says it wrote."""

from __future__ import annotations

from dataclasses import dataclass

from kitestring.model.tally import NOTHING, Tally


@dataclass(frozen=True, slots=True)
class CorpusSeen:
    """Tallies of documents, with ids as examples; with a `problem` they prove nothing."""

    path: str
    tenant: str
    documents: int = 0
    new: Tally = NOTHING  # not in the ledger, or not wholly written
    changed: Tally = NOTHING  # other bytes, chunking, metadata or model than when they were written
    gone: Tally = NOTHING  # in the ledger, not in the corpus
    problem: str = ""
