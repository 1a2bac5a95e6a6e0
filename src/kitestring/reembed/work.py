"""What the steps of a re-embedding share while one of them is at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from kitestring.clients.embedder import Embedder, make_cached, make_embedder
from kitestring.clients.embedder.cache import CachedEmbedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.embedding.spread import Spread
from kitestring.errors import ReembedRefused
from kitestring.ingest.ledger import Ledger, open_ledger
from kitestring.model.reembed import OnProgress, Operation
from kitestring.parallel import Workers
from kitestring.reembed.catchup import catch_up
from kitestring.reembed.columns import Columns
from kitestring.reembed.copy import Copier
from kitestring.reembed.journal import Journal
from kitestring.reembed.record import journal_file, operation_for
from kitestring.reembed.refuse import Change
from kitestring.reembed.shadow import ensure_shadow
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import EmbeddingModel


@dataclass(frozen=True, slots=True)
class Work:
    """Both collections, the journal, the ledger and the new model, open."""

    journal: Journal
    ledger: Ledger
    embedder: Embedder
    copier: Copier

    def catch_up(self) -> int:
        """Rows that are still behind the ledger after it."""
        return catch_up(self.ledger, self.journal, self.copier)


@contextmanager
def at_work(
    loaded: LoadedSpec,
    milvus: Milvus,
    operation: Operation,
    change: Change,
    progress: OnProgress | None = None,
    *,
    on: str | None = None,
) -> Iterator[Work]:
    """Makes what is absent of the shadow collection and opens everything.

    Args:
        on: what texts are embedded on; see `kitestring.parallel.open_executor`.
    """
    source = milvus.describe(operation.source)
    if (source.name, source.id) != (operation.source, operation.source_id):
        raise ReembedRefused(
            f"`{operation.source}` is not the collection that this re-embedding began with",
            hint="somebody dropped it and made another one: `kitestring reembed rollback` gives "
            "up, then plan again",
            subject=operation.source,
        )
    with (
        closing(_embedder(loaded, change.model_to)) as embedder,
        open_ledger(loaded) as ledger,
        Workers(on) as workers,
    ):
        # a wrong one must show before anything is made for it
        model = embedder.model if isinstance(embedder, CachedEmbedder) else embedder
        model.embed(["dimension"])
        shadow = ensure_shadow(milvus, change, operation)
        columns = Columns.of(source.schema, change.wanted.fields)
        with Journal(journal_file(loaded, operation), shadow.id) as journal:
            spread = Spread(loaded, change.model_to, embedder, workers)
            copier = Copier(loaded, milvus, journal, spread, source, shadow, columns, progress)
            yield Work(journal, ledger, embedder, copier)


def _embedder(loaded: LoadedSpec, model: EmbeddingModel) -> Embedder:
    """The new model, behind the cache of ingestion where the spec has one."""
    return make_cached(loaded, model) or make_embedder(loaded, model)


def under_way(loaded: LoadedSpec, name: str) -> Operation:
    """The operation of a collection that has not ended.

    Raises:
        ReembedRefused: there is none.
    """
    found = operation_for(loaded, name)
    if found is None or found.ended:
        raise ReembedRefused(
            f"no re-embedding of `{name}` is under way",
            hint=f"kitestring reembed plan --collection {name} --to MODEL@VERSION",
            subject=name,
        )
    return found
