"""What ingestion changed since a row was copied, by the ledger.

Ingestion goes on writing to the live collection, and enters every row in the ledger after Milvus
has acknowledged it. The ledger beside the journal of the copy tells which rows were written again
(another content hash, or embedded later), which are new, and which are gone.
"""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.ingest.ledger import Ledger
from kitestring.reembed.copy import Copier
from kitestring.reembed.journal import Copied, Journal, Key

_ROUNDS = 20  # each takes what came during the one before


def lag(ledger: Ledger, journal: Journal, source: str, *, strangers: bool = False) -> Iterator[Key]:
    """Keys whose copies are behind the ledger.

    Args:
        strangers: also keys that were copied and are not in the ledger: deleted since, or never
            ingested.
    """
    copied: Iterator[Copied] = journal.rows()
    row = next(copied, None)
    for entry in ledger.rows(source):
        while row is not None and str(row.key) < entry.key:
            if strangers:
                yield row.key
            row = next(copied, None)
        if row is None or row.key != entry.key:
            yield entry.key
            continue
        changed = row.content is not None and row.content != entry.content_hash
        if changed or (row.at is not None and entry.last_embedded_at > row.at):
            yield entry.key
        row = next(copied, None)
    while strangers and row is not None:
        yield row.key
        row = next(copied, None)


def catch_up(ledger: Ledger, journal: Journal, copier: Copier) -> int:
    """Copies what is behind until nothing is; returns how many rows still were at the end.

    Some are left only where ingestion writes faster than the new model embeds. Rows that the
    ledger has and the collection has not are drift of their own, and not counted.
    """
    source = copier.source.name
    if not ledger.has(source):
        return 0
    behind = list(lag(ledger, journal, source, strangers=True))
    for _ in range(_ROUNDS):
        if not behind:
            break
        copier.take_keys(behind)
        behind = [k for k in lag(ledger, journal, source) if k not in copier.absent]
    return len(behind)
