"""Recall of the live index: whether searches still find what exact search finds."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import (
    COLLECTION_THERE,
    Pair,
    asked_by_collection,
    check,
    command,
    pairs,
    rows_text,
)
from kitestring.model.drill import Recall
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.model.watermark import until_text
from kitestring.spec.loaded import LoadedSpec


def recall(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A mean recall that is below the objective, with its whole interval."""
    for pair in pairs(loaded, snapshot):
        if pair.spec.recall is None:
            continue
        seen, minimum = pair.observed.recall, _minimum(pair)
        if seen is None or seen.recall is None or seen.reason:
            reason = seen.reason if seen is not None else "it was not measured"
            yield _finding(
                pair,
                f"recall could not be measured: {reason or 'no reason was given'}",
                minimum,
                "none" if seen is None or seen.recall is None else recall_text(seen.recall),
                command(loaded, "drift", "--only", "index.recall")
                + " again while nothing is written"
                if pair.observed.info.loaded
                else command(loaded, "reconcile") + " loads it; then run this again",
                inconclusive=True,
            )
            continue
        found = seen.recall
        scored = f"{seen.queries}, {rows_text(seen.rows)}{until_text(seen.until)} scored"
        if found.high < minimum:
            yield _finding(
                pair,
                f"the index finds less than it must ({scored})",
                minimum,
                recall_text(found),
                "raise `ef` or `nprobe` in `search.params`, or rebuild the index; "
                "docs/how-to/drift.md tells what lowers recall",
            )
        elif found.low < minimum:
            yield _finding(
                pair,
                f"the interval of the recall holds the minimum: {found.queries} queries can't tell "
                f"on which side it is ({scored})",
                minimum,
                recall_text(found),
                "ask more queries: more golden ones, or `queries: stored` with a larger `sample`",
                inconclusive=True,
            )


def recall_text(found: Recall) -> str:
    """`0.931 (95% interval 0.902 to 0.957), 5th percentile 0.700`."""
    return (
        f"{found.mean:.3f} (95% interval {found.low:.3f} to {found.high:.3f}), "
        f"5th percentile {found.p5:.3f}"
    )


def _minimum(pair: Pair) -> float:
    objectives, asked = pair.loaded.spec.objectives, pair.spec.recall
    if asked is not None and asked.minimum is not None:
        return asked.minimum
    return objectives.recall.minimum if objectives else 1.0  # the spec is refused without either


def _finding(
    pair: Pair,
    message: str,
    minimum: float,
    observed: str,
    hint: str,
    *,
    inconclusive: bool = False,
) -> Finding:
    return Finding(
        "index.recall",
        Severity.WARN if inconclusive else Severity.FAIL,
        pair.subject,
        message,
        expected=f"mean recall of {minimum:g} or more",
        observed=observed,
        hint=hint,
        location=pair.locate("recall"),
        inconclusive=inconclusive,
    )


CHECKS = (
    check(
        "index.recall",
        "The index finds what exact search finds",
        recall,
        meaning="Queries are put to the live index at the spec's search parameters, and its "
        "answers are scored against an exact search over every stored vector. The whole 95% "
        "bootstrap interval of the mean is below the objective. An interval that holds the "
        "objective is inconclusive, and so is a run during which rows came or went. Left out of "
        "specs in which no collection has `recall`.",
        cause="The index was rebuilt with weaker parameters, `ef` or `nprobe` is too small for "
        "what the collection has become, or query nodes serve segments with another index.",
        mend="Raise the search parameters or rebuild the index; look at `index.drift`, "
        "`index.segments` and `index.growing` first.",
        evidence=Evidence.RECALL,
        requires=(COLLECTION_THERE,),
        unasked=asked_by_collection("recall"),
    ),
)
