"""The corpus against the ledger: documents that were added, changed or removed since."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kitestring.checks.base import (
    COLLECTION_THERE,
    Check,
    Pair,
    check,
    command,
    examples_text,
    pairs,
)
from kitestring.model.corpus import CorpusSeen
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.model.tally import Tally
from kitestring.model.words import plural
from kitestring.spec.loaded import LoadedSpec

READ = "corpus.read"


def no_corpus(loaded: LoadedSpec) -> str:
    """Why a spec has no corpus to look at; empty where it has one."""
    named = any(c.corpus is not None for c in loaded.spec.collections)
    return "" if named else "names no `corpus` of a collection"


def read(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A corpus that could not be looked through."""
    for pair, seen in _seen(loaded, snapshot):
        if seen is None or seen.problem:
            problem = "it was not looked at" if seen is None else seen.problem
            yield Finding(
                READ,
                Severity.WARN,
                pair.subject,
                f"the corpus could not be compared with the ledger: {problem}",
                expected="a corpus that can be read",
                observed="unknown",
                hint="correct `corpus` of the collection if it was moved",
                location=pair.locate("corpus"),
                inconclusive=True,
            )


def _told(
    name: str, kind: str, what: str, prune: bool, loaded: LoadedSpec, snapshot: Snapshot
) -> Iterator[Finding]:
    for pair, seen in _seen(loaded, snapshot):
        if seen is None or seen.problem:
            continue
        tally: Tally = getattr(seen, kind)
        if tally.count:
            number = plural(tally.count, "document")
            yield Finding(
                f"corpus.{name}",
                Severity.FAIL,
                pair.subject,
                f"{number} of the tenant `{seen.tenant}` {what}{examples_text(tally.examples)}",
                expected="0 documents",
                observed=number,
                hint="ingest it: " + _ingest(pair, seen, prune),
                location=pair.locate("corpus"),
            )


def _ingest(pair: Pair, seen: CorpusSeen, prune: bool) -> str:
    words = ["ingest", "--collection", pair.spec.name, "--tenant", seen.tenant]
    corpus = pair.spec.corpus
    if corpus is not None and corpus.root is not None:
        words += ["--root", str(pair.loaded.resolve(corpus.root))]
    return command(pair.loaded, *words, *(["--prune"] if prune else []), seen.path)


def _seen(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[tuple[Pair, CorpusSeen | None]]:
    for pair in pairs(loaded, snapshot):
        if pair.spec.corpus is not None:
            yield pair, pair.observed.corpus


def _check(
    name: str, kind: str, title: str, what: str, *, meaning: str, cause: str, prune: bool = False
) -> Check:
    return check(
        f"corpus.{name}",
        title,
        partial(_told, name, kind, what, prune),
        meaning=meaning,
        cause=cause,
        mend="Ingest the corpus again" + (" with `--prune`." if prune else "."),
        evidence=Evidence.CORPUS,
        requires=(COLLECTION_THERE, READ),
        unasked=no_corpus,
    )


CHECKS = (
    check(
        READ,
        "The corpus could be looked through",
        read,
        severity=Severity.WARN,
        meaning="The documents that the spec names could not all be read, or there is no ledger "
        "to compare them with. Inconclusive.",
        cause="The corpus was moved, a disk is not mounted, or the rights are missing.",
        mend="Correct `corpus` of the collection, or mount it, and run it again.",
        evidence=Evidence.CORPUS,
        requires=(COLLECTION_THERE,),
        unasked=no_corpus,
    ),
    _check(
        "not-ingested",
        "new",
        "Every document of the corpus is in the ledger",
        "in the corpus were never wholly ingested",
        meaning="Documents are in the corpus of which there are no rows, or not all: searches "
        "don't find them.",
        cause="They came after the last ingestion, it failed on them, or it was killed.",
    ),
    _check(
        "changed",
        "changed",
        "Every document is as it was ingested",
        "are other than when they were ingested",
        meaning="Documents have other bytes than those that their rows were made of, or would be "
        "made into other rows by the spec's chunking, metadata or model.",
        cause="They were edited since the last ingestion, or the spec was.",
    ),
    _check(
        "gone",
        "gone",
        "Every ingested document is in the corpus",
        "were ingested and are not in the corpus any more",
        meaning="Rows are there of documents that are not: searches find what was withdrawn.",
        cause="Documents were removed or renamed since the last ingestion.",
        prune=True,
    ),
)
