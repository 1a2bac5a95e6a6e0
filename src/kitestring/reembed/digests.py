"""Digests of documents under the new model, so that the ledger knows them as written."""

from __future__ import annotations

from collections.abc import Mapping

from kitestring.errors import IngestError
from kitestring.ingest.documents import find_documents
from kitestring.ingest.ledger import Ledger
from kitestring.ingest.metadata import Enricher
from kitestring.ingest.plan import digest_of, is_done
from kitestring.model.collection import Schema
from kitestring.reembed.refuse import Change
from kitestring.spec.loaded import LoadedSpec


def renewed_digests(
    loaded: LoadedSpec, ledger: Ledger, change: Change, schema: Schema
) -> Mapping[tuple[str, str], str]:
    """(tenant, document) -> its digest under the new model, for the documents of the spec's
    `corpus` that are written as they are; a digest names the model (see
    `kitestring.ingest.plan.digest_of`).

    Documents that can't be read are left out: the next ingestion looks at them again.
    """
    wanted, corpus = change.wanted, change.wanted.corpus
    if corpus is None or wanted.chunking is None:
        return {}
    root = loaded.resolve(corpus.root) if corpus.root is not None else None
    try:
        sources = find_documents([loaded.resolve(corpus.path)], root=root).sources
        enricher = Enricher(wanted.metadata, schema)
    except IngestError:
        return {}
    known = ledger.documents(wanted.name, corpus.tenant)
    found = {}
    for source in sources:
        entry = known.get(source.doc_id)
        try:
            data = source.read()
        except OSError:
            continue
        old, new = (
            digest_of(wanted.chunking, model.label, enricher, source, data)
            for model in (change.model_from, change.model_to)
        )
        if entry is not None and is_done(entry, old):
            found[corpus.tenant, source.doc_id] = new
    return found
