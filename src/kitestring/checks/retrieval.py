"""Retrieval quality: whether questions whose answers are known still find them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kitestring.checks.base import (
    COLLECTION_THERE,
    Pair,
    asked_by_collection,
    check,
    command,
    pairs,
)
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.retrieval import RetrievalSeen
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.proofs import RetrievalProof

CALIBRATED = "retrieval.calibrated"
_NOT_ASKED = RetrievalSeen(reason="nobody was asked")
_NAMED = 5  # golden queries named in a finding


def calibrated(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Golden queries that could not be asked, or whose scores mean nothing yet."""
    for pair, _, seen in _asked(loaded, snapshot):
        if seen.reason or seen.uncalibrated:
            yield Finding(
                CALIBRATED,
                Severity.WARN,
                pair.subject,
                f"the golden queries were not asked: {seen.reason}"
                if seen.reason
                else f"which answers are to be trusted is not known: {seen.uncalibrated}",
                expected=f"a score calibrated for {pair.spec.model}",
                observed="none",
                hint="mend what the reason says"
                if seen.reason
                else command(loaded, "retrieval calibrate", "--collection", pair.spec.name),
                location=pair.locate("retrieval"),
                inconclusive=True,
            )


def hit_rate(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Too few golden queries with a right and confident answer."""
    for pair, proof, seen in _asked(loaded, snapshot):
        if seen.hits is None or seen.calibration is None:
            continue  # retrieval.calibrated says so
        straddles = seen.hits.low < proof.minimum <= seen.hits.high
        if seen.hits.low >= proof.minimum:
            continue
        score = seen.calibration.score
        yield Finding(
            "retrieval.hit-rate",
            Severity.WARN if straddles else Severity.FAIL,
            pair.subject,
            f"{seen.queries} golden queries can't tell on which side of the minimum the hit rate is"
            if straddles
            else f"too few of {seen.queries} golden queries have a right answer among the first "
            f"{seen.k} that passes the score {score:.4g}; whatever the score, {seen.found} have",
            expected=f"a hit rate of {proof.minimum:g} or more",
            observed=str(seen.hits),
            hint="add golden queries"
            if straddles
            else "`embedding`, `rows` and `index.recall` tell why; where the "
            "documents themselves changed, correct the golden queries and calibrate again",
            location=pair.locate("retrieval"),
            inconclusive=straddles,
        )


def golden(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Golden queries for documents that are no more."""
    for pair, _, seen in _asked(loaded, snapshot):
        if not seen.gone:
            continue
        lost = sum(one.all for one in seen.gone)
        named = "; ".join(f"`{g.query}`: {', '.join(g.documents)}" for g in seen.gone[:_NAMED])
        yield Finding(
            "retrieval.golden-gone",
            Severity.WARN,
            f"{pair.subject}/golden",
            f"{len(seen.gone)} golden queries name documents that are not in the collection, and "
            f"{lost} of them have none left, so that they were not asked: {named}",
            expected="every relevant document in the collection",
            observed=f"{len(seen.gone)} queries",
            hint=f"correct {pair.spec.golden}, or ingest the documents",
            location=pair.locate("golden"),
        )


def hybrid(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Hybrid search that is better, or worse, than the vectors alone."""
    for pair, proof, seen in _asked(loaded, snapshot):
        if not proof.hybrid or seen.gain is None or seen.gain.low <= 0 <= seen.gain.high:
            continue
        better = seen.gain.low > 0
        yield Finding(
            "retrieval.hybrid",
            Severity.INFO,
            f"{pair.subject}/hybrid",
            "with BM25 beside the vectors, the right documents come earlier"
            if better
            else "with BM25 beside the vectors, the right documents come later",
            expected=f"a mean reciprocal rank of {seen.dense} by the vectors alone",
            observed=f"{seen.hybrid}; difference {seen.gain}"
            + (f"; BM25 by the server's `{seen.bm25}`" if seen.bm25 else ""),
            hint="search with both, fused by rank" if better else "keep to the vectors",
            location=pair.locate("retrieval", "hybrid"),
        )


def _asked(
    loaded: LoadedSpec, snapshot: Snapshot
) -> Iterator[tuple[Pair, RetrievalProof, RetrievalSeen]]:
    for pair in pairs(loaded, snapshot):
        if pair.spec.retrieval is not None:
            yield pair, pair.spec.retrieval, pair.observed.retrieval or _NOT_ASKED


_check = partial(check, evidence=Evidence.RETRIEVAL, unasked=asked_by_collection("retrieval"))

CHECKS = (
    _check(
        CALIBRATED,
        "The golden queries could be asked, and their scores are calibrated",
        calibrated,
        severity=Severity.WARN,
        meaning="The golden queries could not be asked, or there is no score for this version of "
        "the model from which on an answer is to be trusted. Inconclusive. Left out of specs in "
        "which no collection has `retrieval`.",
        cause="Nobody has calibrated yet, or the model has changed since: scores of another "
        "version mean something else.",
        mend="`kitestring retrieval calibrate`, at a time when the answers are known to be good.",
        requires=(COLLECTION_THERE,),
    ),
    _check(
        "retrieval.hit-rate",
        "Golden queries have right answers that are confident",
        hit_rate,
        meaning="The share of the golden queries for which one of the first `search.top_k` answers "
        "is from a relevant document and passes the calibrated score is below the minimum, with "
        "its whole 95% bootstrap interval. An interval that holds the minimum is inconclusive.",
        cause="Documents are missing or stale, vectors are of another model or were made another "
        "way, passages were cut otherwise, or the index finds less.",
        mend="Look at the other checks first; then at the documents.",
        requires=(COLLECTION_THERE, CALIBRATED),
    ),
    _check(
        "retrieval.golden-gone",
        "The documents that golden queries name are there",
        golden,
        severity=Severity.WARN,
        meaning="Golden queries name documents of which the collection has no row. Those that have "
        "none left are not asked.",
        cause="The documents were removed or renamed, or their rows are missing.",
        mend="Correct the file of golden queries; `rows.missing` tells of rows that should be "
        "there.",
        requires=(COLLECTION_THERE, CALIBRATED),
    ),
    _check(
        "retrieval.hybrid",
        "Hybrid search is worth what it is thought to be",
        hybrid,
        severity=Severity.INFO,
        meaning="With `retrieval.hybrid`, the passages are ranked by BM25 too: by the server where "
        "an index measures BM25 (2.5 and later), else here, from their texts. Both rankings are "
        "fused (reciprocal rank fusion, k = 60), and the ranks of the first right documents are "
        "compared query by query. Told where the whole interval of the difference is on one side.",
        cause="Questions use the documents' own words more, or less, than was thought.",
        mend="Search in the way that finds more.",
        requires=(COLLECTION_THERE, CALIBRATED),
    ),
)
