"""Documents that an ingestion began and did not finish."""

from __future__ import annotations

from kitestring.ingest.ledger import Ledger
from kitestring.model.tally import EXAMPLES, NOTHING, Tally


def unfinished_documents(ledger: Ledger, collection: str) -> Tally:
    """Those that no ingestion is at work on. Looked for twice: one that ends or begins between a
    look at the lease and a look at the documents raises no alarm."""
    left = None
    for _ in range(2):
        if ledger.writing(collection):
            return NOTHING
        found = ledger.unfinished(collection)
        left = found if left is None else left & found
        if not left:
            return NOTHING
    names = sorted(doc_id for _, doc_id in left or ())
    return Tally(len(names), tuple(names[:EXAMPLES]))
