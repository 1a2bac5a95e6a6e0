"""Rows against the ledger: ingestion duplicates and partial failures.

A census that is not complete still proves what it found; it proves nothing by what it did not
find. So a missing row is told only of a complete census, and `rows.scan` tells the rest.
"""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import (
    LEDGER_THERE,
    ROWS_READ,
    Check,
    Pair,
    Run,
    check,
    command,
    examples_text,
    pairs,
    rows_text,
)
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import RowCensus, Snapshot, Tally
from kitestring.spec.loaded import LoadedSpec


def scan(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows that could not all be read."""
    for pair in pairs(loaded, snapshot):
        census = pair.observed.census
        if census is not None and census.complete:
            continue
        reason = census.reason if census is not None else "they were not scanned"
        yield Finding(
            ROWS_READ,
            Severity.WARN,
            pair.subject,
            f"not all rows could be read: {reason or 'no reason was given'}",
            expected="a complete scan",
            observed="none" if census is None else rows_text(census.rows_read) + " read",
            hint="run this again while nothing is written"
            if pair.observed.info.loaded
            else command(loaded, "reconcile") + " loads it; then run this again",
            location=pair.locate(),
            inconclusive=True,
        )


def ledger_absent(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A collection whose rows can be compared with nothing."""
    for pair, census in _censuses(loaded, snapshot):
        if census.ledger_rows is None:
            yield Finding(
                LEDGER_THERE,
                Severity.WARN,
                pair.subject,
                "there is no ledger: missing, orphan and stale rows cannot be told",
                expected=f"a ledger in {loaded.state_dir}",
                observed="none",
                hint="ingest with "
                + command(loaded, "ingest", "--collection", pair.spec.name, "PATH...")
                + ", or correct `state` of the spec if the ledger is elsewhere",
                location=loaded.locate("state"),
                inconclusive=True,
            )


def missing(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows of the ledger that the store does not have."""
    for pair, census in _censuses(loaded, snapshot):
        if census.complete and census.ledger_rows is not None:
            yield from _told(
                "rows.missing",
                pair,
                census.missing,
                "in the ledger and not in the collection",
                "ingest again: " + _ingest(pair),
            )


def orphan(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows of the store that the ledger does not have."""
    for pair, census in _censuses(loaded, snapshot):
        if census.ledger_rows is not None:
            yield from _told(
                "rows.orphan",
                pair,
                census.orphan,
                "in the collection and not in the ledger",
                "if nothing else writes here, ingest the whole corpus and remove the rest: "
                + _ingest(pair, "--prune"),
            )


def stale(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows whose content hash is not the ledger's."""
    for pair, census in _censuses(loaded, snapshot):
        if census.ledger_rows is None:
            continue
        if pair.spec.fields.content_hash is None:
            yield Finding(
                "rows.stale",
                Severity.WARN,
                pair.subject,
                "no field holds a content hash: stale rows cannot be told",
                expected="a field for the role `content_hash`",
                observed="none",
                hint="add a VARCHAR field with the SHA-256 of the text, and name it in "
                "`fields.content_hash`",
                location=pair.locate("fields", "content_hash"),
                inconclusive=True,
            )
            continue
        yield from _told(
            "rows.stale",
            pair,
            census.stale,
            "with another content hash than the ledger says",
            "ingest again: " + _ingest(pair),
        )


def duplicate(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Keys that are there more than once."""
    for pair, census in _censuses(loaded, snapshot):
        yield from _told(
            "rows.duplicate",
            pair,
            census.duplicate,
            "with a key that is there more than once",
            "ingest again, which leaves one row of each key: " + _ingest(pair),
        )


def duplicate_content(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Passages that one tenant has under several keys."""
    for pair, census in _censuses(loaded, snapshot):
        if census.duplicate_content is not None:
            yield from _told(
                "rows.duplicate-content",
                pair,
                census.duplicate_content,
                "with a content hash that another key of the same tenant has too",
                "look at the documents that they are from: `doc_id` tells; remove copies from "
                "the corpus, and ingest it with " + _ingest(pair, "--prune"),
                severity=Severity.WARN,
            )


def _censuses(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[tuple[Pair, RowCensus]]:
    for pair in pairs(loaded, snapshot):
        if pair.observed.census is not None:
            yield pair, pair.observed.census


def _told(
    check_id: str,
    pair: Pair,
    tally: Tally,
    what: str,
    hint: str,
    *,
    severity: Severity = Severity.FAIL,
) -> Iterator[Finding]:
    if tally.count:
        yield Finding(
            check_id,
            severity,
            pair.subject,
            f"{rows_text(tally.count)} {what}{examples_text(tally.examples)}",
            expected="0 rows",
            observed=rows_text(tally.count),
            hint=hint,
            location=pair.locate(),
        )


def _ingest(pair: Pair, *flags: str) -> str:
    name = pair.spec.name
    return command(pair.loaded, "ingest", "--collection", name, "--verify", *flags, "PATH...")


def _row_check(
    name: str,
    title: str,
    run: Run,
    *,
    meaning: str,
    cause: str,
    mend: str,
    ledger: bool = True,
    severity: Severity = Severity.FAIL,
) -> Check:
    return check(
        name,
        title,
        run,
        meaning=meaning,
        cause=cause,
        mend=mend,
        severity=severity,
        evidence=Evidence.ROWS,
        requires=(LEDGER_THERE,) if ledger else (),
    )


CHECKS = (
    check(
        ROWS_READ,
        "All rows could be read",
        scan,
        severity=Severity.WARN,
        meaning="The rows of a collection could not all be read, so that checks which look at "
        "rows prove nothing by finding nothing. Inconclusive.",
        cause="The collection is not loaded, or rows were written or deleted while the scan ran.",
        mend="Load the collection, and run it again while nothing is written.",
        evidence=Evidence.ROWS,
    ),
    check(
        LEDGER_THERE,
        "There is a ledger to compare rows with",
        ledger_absent,
        severity=Severity.WARN,
        meaning="Nothing says which rows ought to be there. Inconclusive.",
        cause="The rows were not written by `kitestring ingest`, or the spec's `state` is "
        "another directory.",
        mend="Ingest with Kitestring, or correct `state`.",
        evidence=Evidence.ROWS,
    ),
    _row_check(
        "rows.missing",
        "Every row of the ledger is in the collection",
        missing,
        meaning="Ingestion wrote rows that are not there: searches cannot find them.",
        cause="Somebody deleted them, a restore brought back an older state, or writes were lost.",
        mend="Ingest the corpus again with `--verify`.",
    ),
    _row_check(
        "rows.orphan",
        "Every row of the collection is in the ledger",
        orphan,
        meaning="Rows are there that ingestion does not know: searches find passages that no "
        "document has any longer, or that something else wrote.",
        cause="A document was removed or shortened and its rows were not deleted, or another "
        "writer is at work.",
        mend="Ingest the whole corpus with `--verify --prune`, or delete them.",
    ),
    _row_check(
        "rows.stale",
        "Every row has the content that the ledger says",
        stale,
        meaning="A row's content hash is another one than the ledger's.",
        cause="A write was overtaken by an older one, a restore brought back older rows, or "
        "somebody changed them.",
        mend="Ingest the corpus again with `--verify`.",
    ),
    _row_check(
        "rows.duplicate",
        "No key is there more than once",
        duplicate,
        meaning="The same key is in the collection more than once. The server hides all but one "
        "from a query, while counts, memory and ranking are wrong.",
        cause="A writer used insert instead of upsert, or retried after a timeout.",
        mend="Ingest the corpus again with `--verify`: an upsert leaves one row of each key.",
        ledger=False,
    ),
    _row_check(
        "rows.duplicate-content",
        "No passage is there under several keys of a tenant",
        duplicate_content,
        meaning="Rows of one tenant have the same content hash and different keys. They take "
        "places in each answer that other passages would have.",
        cause="A document is in the corpus twice, under another name or path, or was ingested "
        "with another chunker beside the first; or documents share boilerplate.",
        mend="Remove copies from the corpus and ingest it with `--prune`. Where the repetition "
        "is meant, suppress the check in the spec with the reason.",
        ledger=False,
        severity=Severity.WARN,
    ),
)
