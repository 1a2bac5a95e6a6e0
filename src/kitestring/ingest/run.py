"""One ingestion: from files to rows, idempotently."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path

from kitestring.clients.embedder import Embedder, make_cached, make_embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import IngestError, UsageError
from kitestring.ingest.deadletter import dead_letters, letters_file
from kitestring.ingest.documents import find_documents
from kitestring.ingest.ledger import open_ledger
from kitestring.ingest.steps import Steps
from kitestring.model.ingest import IngestReport, OnProgress, Progress
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec, EmbeddingModel
from kitestring.spec.registry import read_registry

DEFAULT_TENANT = "default"


def ingest(
    loaded: LoadedSpec,
    milvus: Milvus,
    collection_name: str,
    paths: Sequence[Path],
    *,
    tenant: str = DEFAULT_TENANT,
    root: Path | None = None,
    create: bool = True,
    allow_mixed: bool = False,
    prune: bool = False,
    verify: bool = False,
    wait: float = 0.0,
    waiting: Callable[[str], None] | None = None,
    allow_empty: bool = False,
    remove_emptied: bool = False,
    unchanged: Collection[str] = (),
    embedder: Embedder | None = None,
    progress: OnProgress | None = None,
) -> IngestReport:
    """Writes documents into a collection; a second run over the same documents writes nothing.

    A document that can't be read is parked (see `deadletter`), and what is stored of it stays; a
    passage that the model or Milvus refuses is parked alone. A document that has become shorter
    loses its last rows; one whose file is not there any more, in a directory that is looked
    through, loses all of them. A killed run is continued by the next one: what Milvus
    acknowledged is not embedded again. What was written is read back and spot-checked.

    Args:
        collection_name: a collection of the spec, or an alias of one.
        paths: files, and directories with all that is below them.
        tenant: the tenant of all these documents.
        root: document ids are relative to it; by default to each directory given.
        create: create the collection if it is not there.
        allow_mixed: write even where rows of another model or chunker are.
        prune: `paths` are all that the tenant has: remove every other document, and rows of the
            tenant that no ingestion wrote.
        verify: compare all rows with the ledger first, even if nothing looks wrong.
        wait: seconds to wait for another ingestion into the collection; see `Ledger.run`.
        waiting: told once by whom the collection is held.
        allow_empty: directories without any document are no mistake.
        remove_emptied: remove the documents of folders that are empty or have vanished all at
            once (see `emptied`); else they stay, and the report names the folders.
        unchanged: documents that the caller knows to be as they were at the last run.
        embedder: for tests; the spec's model by default.

    Raises:
        LedgerBusy: another ingestion into the collection runs.
        IngestError, MilvusError, SpecError: nothing is half-written; run it again.
    """
    start = time.perf_counter()
    wanted, model = collection_to_write(loaded, collection_name)
    found = find_documents(paths, root=root, allow_empty=allow_empty)
    with (
        open_ledger(loaded) as ledger,
        ledger.run(wanted.name, wait=wait, waiting=waiting) as run,
        dead_letters(letters_file(loaded, wanted.name)) as letters,
        closing(
            make_cached(loaded, model, embedder) or embedder or make_embedder(loaded, model)
        ) as embed,
    ):
        refuse_switched(loaded, wanted)
        steps = Steps(loaded, milvus, wanted, tenant, found, ledger, run, letters, embed)
        steps.prepare(create=create, allow_mixed=allow_mixed, verify=verify)
        steps.write(unchanged, progress)
        steps.remove(all_others=prune, emptied_too=prune or remove_emptied)
        if progress is not None:
            progress(Progress(len(found.sources), len(found.sources), steps.writer.rows_written))
        steps.verify()
        return steps.report(time.perf_counter() - start)


def collection_to_write(loaded: LoadedSpec, name: str) -> tuple[CollectionSpec, EmbeddingModel]:
    """The spec's collection of that name or alias, and its model.

    Raises:
        UsageError: the spec has none, or it does not say how its rows are made.
    """
    wanted = loaded.spec.collection(name)
    if wanted is None:
        names = [n for c in loaded.spec.collections for n in (c.name, *c.aliases)]
        near = difflib.get_close_matches(name, names, 1)
        raise UsageError(
            f"{loaded.file} has no collection `{name}`",
            hint=f"did you mean `{near[0]}`?" if near else f"it has: {', '.join(names) or 'none'}",
            subject=name,
        )
    model = loaded.spec.model_named(wanted.model)
    if model is None:
        raise UsageError(
            f"{loaded.locate('collections')}: the collection `{wanted.name}` has no `model`",
            hint="name one of the spec's `models`, as `name@version`",
            subject=wanted.name,
        )
    return wanted, model


def refuse_switched(loaded: LoadedSpec, wanted: CollectionSpec) -> None:
    """Refuses to write to a collection that a re-embedding takes clients from or to.

    To be asked with the ledger's lease held: a cutover holds it until the registry says the end.

    Raises:
        IngestError: nothing was written; the message says what to do.
    """
    family = read_registry(loaded).family_of(wanted.name)
    if family is None or (family.live == wanted.name and not family.switching):
        return
    if family.switching:
        raise IngestError(
            f"`{wanted.name}` is between two embedding models: a cutover did not end",
            hint="`kitestring reembed status` says how to end it; then ingest again",
            subject=wanted.name,
        )
    raise IngestError(
        f"clients have moved to `{family.live}` since this run began; nothing was written",
        hint="ingest again: it goes to the collection that is live now",
        subject=wanted.name,
    )
