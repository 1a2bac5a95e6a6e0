"""The corpus against the ledger: by the digests of documents, nothing is chunked or embedded."""

from __future__ import annotations

from dataclasses import replace

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import IngestError, LedgerUnreadable
from kitestring.ingest.documents import find_documents
from kitestring.ingest.ledger import Ledger, open_ledger
from kitestring.ingest.metadata import Enricher
from kitestring.ingest.plan import digest_of, is_done
from kitestring.model.collection import Schema
from kitestring.model.corpus import CorpusSeen
from kitestring.model.snapshot import Snapshot
from kitestring.model.tally import Counter
from kitestring.spec.corpus import Corpus
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec


def probe_corpora(loaded: LoadedSpec, _: Milvus, snapshot: Snapshot) -> Snapshot:
    """Reads every document of the corpora that the spec names."""
    collections = dict(snapshot.collections)
    with open_ledger(loaded, create=False) as ledger:
        for wanted in loaded.spec.collections:
            seen = collections.get(wanted.name)
            if seen is not None and wanted.corpus is not None:
                found = _compared(loaded, ledger, wanted, wanted.corpus, seen.info.schema)
                collections[wanted.name] = replace(seen, corpus=found)
    return replace(snapshot, collections=collections)


def _compared(
    loaded: LoadedSpec, ledger: Ledger, wanted: CollectionSpec, corpus: Corpus, schema: Schema
) -> CorpusSeen:
    path = loaded.resolve(corpus.path)
    root = loaded.resolve(corpus.root) if corpus.root is not None else None
    seen = CorpusSeen(str(path), corpus.tenant)
    model = loaded.spec.model_named(wanted.model)
    if model is None or wanted.chunking is None:
        return replace(seen, problem="the spec names no `model` or no `chunking` to tell it by")
    if not ledger.has(wanted.name):
        return replace(seen, problem="there is no ledger to compare it with")
    try:
        sources = find_documents([path], root=root).sources
        enricher = Enricher(wanted.metadata, schema)
    except LedgerUnreadable:
        raise
    except IngestError as error:
        return replace(seen, problem=error.message)
    known = ledger.documents(wanted.name, corpus.tenant)
    new, changed, gone = Counter(), Counter(), Counter()
    for source in sources:
        entry = known.get(source.doc_id)
        try:
            data = source.read()
        except OSError as error:
            return replace(seen, problem=f"{source.path}: {error.strerror}")
        digest = digest_of(wanted.chunking, model.label, enricher, source, data)
        if entry is None or (entry.digest == digest and not is_done(entry, digest)):
            new.add(source.doc_id)
        elif entry.digest != digest:
            changed.add(source.doc_id)
    present = {source.doc_id for source in sources}
    for doc_id in sorted(ledger.document_ids(wanted.name, corpus.tenant) - present):
        gone.add(doc_id)
    return replace(
        seen,
        documents=len(sources),
        new=new.tally(),
        changed=changed.tally(),
        gone=gone.tally(),
    )
