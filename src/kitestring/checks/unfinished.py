"""Partial failures of ingestion: what was begun and is not there."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import LEDGER_THERE, check, command, examples_text, pairs
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.model.words import plural
from kitestring.spec.loaded import LoadedSpec

UNFINISHED = "rows.unfinished"


def unfinished(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Documents that are not wholly stored, by the ledger and by the dead letters."""
    for pair in pairs(loaded, snapshot):
        census = pair.observed.census
        if census is None or census.ledger_rows is None:
            continue
        begun, parked = census.unfinished, snapshot.dead_letters.get(pair.spec.name, 0)
        again = "ingest again: " + command(
            loaded, "ingest", "--collection", pair.spec.name, "PATH..."
        )
        if begun.count:
            yield Finding(
                UNFINISHED,
                Severity.FAIL,
                pair.subject,
                f"{plural(begun.count, 'document')} begun by an ingestion and not wholly "
                f"written{examples_text(begun.examples)}",
                expected="0 documents",
                observed=plural(begun.count, "document"),
                hint=again,
                location=pair.locate(),
            )
        elif parked:
            yield Finding(
                UNFINISHED,
                Severity.WARN,
                pair.subject,
                f"{plural(parked, 'dead letter')}: what could not be read or written",
                expected="0 dead letters",
                observed=plural(parked, "dead letter"),
                hint=f"{loaded.state_dir}/dead-letters/{pair.spec.name}.jsonl says why; mend it "
                f"and {again}",
                location=pair.locate(),
            )


CHECKS = (
    check(
        UNFINISHED,
        "Every document that ingestion began is wholly written",
        unfinished,
        meaning="An ingestion announced documents and did not finish them, so that searches find "
        "a part of them, or their former text. Dead letters alone warn: documents or passages "
        "that could not be read or were refused. Documents that the ingestion had not come to are "
        "told by `corpus.not-ingested`, where the spec names the corpus.",
        cause="The ingestion was killed, the server or the model went away in the middle, or some "
        "of a document's passages were refused.",
        mend="Ingest again: what is written is not written twice. `kitestring status` counts the "
        "dead letters; their file says why each is one.",
        evidence=Evidence.ROWS,
        requires=(LEDGER_THERE,),
    ),
)
