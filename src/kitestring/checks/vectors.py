"""Vectors that no search finds, or that are not as long as the model's."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import (
    COLLECTION_THERE,
    Pair,
    asked_by_collection,
    check,
    command,
    examples_text,
    rows_text,
)
from kitestring.checks.canary_evidence import (
    cannot_tell,
    taken,
    untaken,
)
from kitestring.model.canary import Obstacle
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.model.watermark import until_text
from kitestring.spec.loaded import LoadedSpec

VECTORS = "embedding.vectors"


def vectors(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Vectors that no search finds, or that are not as long as the model's."""
    yield from untaken(VECTORS, loaded, snapshot)
    for pair, seen in taken(loaded, snapshot):
        model = loaded.spec.model_named(pair.spec.model)
        field = pair.observed.info.schema.field(pair.spec.fields.vector)
        if model is not None and field is not None and field.dim != model.dimension:
            yield _bad_vectors(
                pair,
                Severity.FAIL,
                f"the vectors are not of the dimension of `{model.label}`",
                f"{model.dimension} dimensions",
                f"{field.dim} dimensions",
            )
            continue
        found = seen.vectors
        if found is None:
            nothing = Obstacle("the vectors were not read", "")
            yield cannot_tell(VECTORS, pair, seen.unread or nothing)
            continue
        every = "" if found.path == "sample" else "all "
        of = f"of {every}{rows_text(found.rows)}{until_text(found.until)}"
        for tally, what, expected in (
            (found.not_finite, "with NaN or infinity in the vector", "finite numbers"),
            (found.zero, "with a vector of zeros", "vectors with a direction"),
        ):
            if tally.count:
                text = f"{tally.count:,} {of} {what}{examples_text(tally.examples)}"
                yield _bad_vectors(pair, Severity.FAIL, text, expected, rows_text(tally.count))
        if found.other_length.count:
            tally = found.other_length
            yield _bad_vectors(
                pair,
                # a cosine does not see the length
                Severity.WARN if _metric(pair) == "COSINE" else Severity.FAIL,
                f"{tally.count:,} {of} with a vector that is not of length 1"
                f"{examples_text(tally.examples)}",
                "vectors of length 1",
                rows_text(tally.count),
            )
        if not found.complete:
            again = "run it again; `rows.scan` tells of duplicates"
            yield cannot_tell(VECTORS, pair, Obstacle(found.reason, again))


def _metric(pair: Pair) -> str:
    field = pair.spec.fields.vector
    return next((s.index.metric for s in pair.observed.info.indexes if s.index.field == field), "")


def _bad_vectors(
    pair: Pair, severity: Severity, message: str, expected: str, observed: str
) -> Finding:
    return Finding(
        VECTORS,
        severity,
        pair.subject,
        message,
        expected=expected,
        observed=observed,
        hint="ingest the documents of these rows again: "
        + command(
            pair.loaded, "ingest", "--collection", pair.spec.name, "--verify", "--allow-mixed",
            "PATH...",
        ),
        location=pair.locate("fields", "vector"),
    )  # fmt: skip


CHECKS = (
    check(
        VECTORS,
        "Vectors are finite, not zero, and of the model's dimension and length",
        vectors,
        meaning="Rows have a vector that no search can find (NaN, zeros), or that is not of length "
        "1 though the model's are scaled to it. The sample of the canary is looked at, or every "
        "row with `canary.vectors: all`. Another length is a warning where the metric is COSINE.",
        cause="An embedding failed and was written all the same, or rows were written past "
        "ingestion.",
        mend="Ingest the documents of the rows that are named again.",
        evidence=Evidence.CANARY,
        requires=(COLLECTION_THERE,),
        unasked=asked_by_collection("canary"),
    ),
)
