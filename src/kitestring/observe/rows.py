"""The rows of the spec's collections: of small ones several side by side, of large ones in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import CollectionNotFound
from kitestring.ingest.ledger import open_ledger
from kitestring.model.snapshot import ObservedCollection
from kitestring.observe.census import take_census
from kitestring.observe.ledger_side import OfCollection
from kitestring.observe.reading import Reading
from kitestring.observe.unfinished import unfinished_documents
from kitestring.parallel import Workers
from kitestring.spec.loaded import LoadedSpec

STREAMS = 8  # collections at a time: a count at strong consistency waits 0.2 s and does nothing
_SMALL = 10_000  # rows written; what is larger has the query nodes, and the memory, to itself


def with_rows(
    loaded: LoadedSpec,
    milvus: Milvus,
    collections: Mapping[str, ObservedCollection],
    workers: Workers,
    reading: Reading,
) -> dict[str, ObservedCollection]:
    """The collections, those of the spec with a census; without one that went away meanwhile.

    Raises:
        MilvusError: the server could not be read.
        LedgerUnreadable: the ledger is there and can't be read.
    """
    mine = [c.name for c in loaded.spec.collections if c.name in collections]
    small = [name for name in mine if collections[name].written <= _SMALL]
    threads = workers.side_by_side(min(STREAMS, len(small)))
    take = partial(_census, loaded, milvus, collections, reading)
    found = dict(zip(small, threads.run(partial(take, None), small), strict=True))
    for name in mine:
        if name not in found:
            found[name] = take(workers, name)
    both = {name: found.get(name, seen) for name, seen in collections.items()}
    return {name: seen for name, seen in both.items() if seen is not None}


def _census(
    loaded: LoadedSpec,
    milvus: Milvus,
    collections: Mapping[str, ObservedCollection],
    reading: Reading,
    workers: Workers | None,
    name: str,
) -> ObservedCollection | None:
    seen = collections[name]
    spec = next(c for c in loaded.spec.collections if c.name == name)
    try:
        # one for each: a thread can't use the database of another
        with open_ledger(loaded, create=False) as ledger:
            census = take_census(
                milvus,
                seen.info,
                spec.fields,
                OfCollection(ledger, name) if ledger.has(name) else None,
                loaded=loaded,
                reading=reading,
                workers=workers,
            )
            census = replace(census, unfinished=unfinished_documents(ledger, name))
    except CollectionNotFound:
        return None
    return replace(seen, census=census)
