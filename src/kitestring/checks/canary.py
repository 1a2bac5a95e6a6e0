"""Whether stored vectors are what the model gives for their texts, whatever their labels say.

The verdict is by rank, not by a threshold: see `kitestring.stats.rank`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    CANARY,
    REPEATABLE,
    SIGN_OFF,
    cannot_tell,
    sign_off_command,
    taken,
    untaken,
)
from kitestring.model.canary import CanaryEvidence, InSegment, Obstacle
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.model.tally import Tally
from kitestring.spec.loaded import LoadedSpec
from kitestring.stats.holm import holm
from kitestring.stats.power import seen_with
from kitestring.stats.rank import ALPHA, exceedance, limit

_DOUBT = 0.05


def signed_off(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Collections whose vectors nobody has signed off."""
    yield from untaken(SIGN_OFF, loaded, snapshot)
    for pair, seen in taken(loaded, snapshot):
        if seen.unsigned is not None:
            yield cannot_tell(SIGN_OFF, pair, seen.unsigned, sign_off_command(pair))


def canary(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows that are not what the model gives for their text."""
    evidence = taken(loaded, snapshot)
    chances = [
        exceedance(seen.reembedded.rows, seen.reference.rows, seen.reembedded.below.count)
        for _, seen in evidence
        if seen.reembedded and seen.reference
    ]
    adjusted = iter(holm(chances))
    for pair, seen in evidence:
        for obstacle in (seen.unread, seen.unanswered):
            if obstacle is not None:
                yield cannot_tell(CANARY, pair, obstacle)
        if seen.reembedded is not None and seen.reference is not None:
            yield from _ranked(pair, seen, next(adjusted))
            yield from _textless(pair, seen.reembedded.textless)


def _ranked(pair: Pair, seen: CanaryEvidence, chance: float) -> Iterator[Finding]:
    found, reference = seen.reembedded, seen.reference
    if found is None or reference is None:
        return
    needed = limit(found.rows, reference.rows)
    if needed is None:
        yield cannot_tell(
            CANARY,
            pair,
            Obstacle(
                f"{rows_text(found.rows)} against {reference.rows:,} signed off can prove nothing",
                "raise `canary.rows`, or sign off again with more rows: "
                + sign_off_command(pair, renew=True),
            ),
        )
    k = found.below.count
    if not k:
        return
    repeatable = reference.repeatability >= REPEATABLE
    severity = graded(chance, repeatable=repeatable)
    certain = severity is Severity.FAIL
    sample = f"{k:,} of {rows_text(found.rows)}"
    if found.first_rows:
        sample += f" ({found.first_below:,} of the first {found.first_rows:,})"
    changed = seen.query is not None and bool(seen.query.changed)
    yield Finding(
        CANARY,
        severity,
        pair.subject,
        f"{sample} are not what `{seen.model}` gives for their text"
        f"{examples_text(found.below.examples)}",
        expected=f"cosines of {seen.model} as signed off",
        observed=f"lowest cosine {found.worst:.4f}, lowest signed off {reference.tau:.4f} "
        f"(of {reference.rows:,}); by chance alone: {chance:.2g}; "
        f"{_concentrated(found.segments)}{_sees(found.rows, needed)}",
        hint="the model answers otherwise than when it was signed off: see "
        "`embedding.query-encoder`; bring the former one back, or embed all rows again"
        if changed
        else "these rows were embedded by another model, or their text was changed without them: "
        "ingest their documents again: "
        + command(
            pair.loaded, "ingest", "--collection", pair.spec.name, "--verify", "--allow-mixed",
            "PATH...",
        )
        if certain
        else "too few to be certain: check again tomorrow, when other rows are drawn, or now with "
        "more of them: "
        + command(pair.loaded, "embedding check", "--rows", str(4 * found.rows)),
        location=pair.locate("canary"),
    )  # fmt: skip


def _concentrated(segments: Sequence[InSegment]) -> str:
    """Where the rows below are, if a segment has rows that are not."""
    bad = sorted((s for s in segments if s.below), key=lambda s: (-s.below, s.id))
    if not bad or len(bad) == len(segments):
        return ""
    shown = ", ".join(f"{s.below:,} of {s.rows:,} in segment {s.id}" for s in bad[:3])
    rest = f" and some in {len(bad) - 3:,} more" if len(bad) > 3 else ""
    return f"{shown}{rest}, none in the other {len(segments) - len(bad):,}; "


def graded(chance: float, *, repeatable: bool) -> Severity:
    """How grave it is that some rows are below the least cosine of the sign-off.

    A model that repeats itself gives a right row no other cosine: each one below is a fact. Of
    another, rows within chance are told as info.

    Args:
        chance: of so many by chance alone, corrected for the number of collections.
    """
    if chance <= ALPHA:
        return Severity.FAIL
    return Severity.WARN if repeatable or chance <= _DOUBT else Severity.INFO


def _sees(rows: int, needed: int | None) -> str:
    """What a sample of that size is good for."""
    rate = seen_with(rows, needed) if needed is not None else None
    if rate is None:
        return "the sample is too small for any certainty"
    return f"a sample of this size fails at {needed}, and sees {rate:.1%} bad rows with 99%"


def _textless(pair: Pair, textless: Tally) -> Iterator[Finding]:
    if textless.count:
        yield cannot_tell(
            CANARY,
            pair,
            Obstacle(
                f"{rows_text(textless.count)} of the sample without a text"
                f"{examples_text(textless.examples)}: it can't be embedded again",
                "write the text, or delete the rows",
            ),
        )


CHECKS = (
    check(
        SIGN_OFF,
        "The vectors were signed off for the collection's model",
        signed_off,
        meaning="The spec asks for a canary, and there is nothing to compare with: no sign-off of "
        "this model, or one that can't be used. The other checks of vectors prove nothing then.",
        cause="The collection is new, it has got another model, or the state directory is another "
        "one.",
        mend="`kitestring embedding sign-off`, at a time when the vectors are known to be right, "
        "such as right after everything was ingested.",
        severity=Severity.WARN,
        evidence=Evidence.CANARY,
        requires=(COLLECTION_THERE,),
        unasked=asked_by_collection("canary"),
    ),
    check(
        CANARY,
        "Stored vectors are what the model gives for the stored texts",
        canary,
        meaning="Stored texts were embedded again, and more of them are farther from their stored "
        "vector than any at the sign-off than chance allows: those rows are another model's, "
        "whatever their label says. A few are a warning: twice as many rows were looked at then; "
        "info, if the model does not repeat itself and chance explains them. "
        "A missing text or a model that does not answer is inconclusive.",
        cause="A job wrote vectors of another model under this one's label, texts were changed "
        "without their vectors, or the model behind the endpoint was exchanged.",
        mend="Where `embedding.query-encoder` is well: ingest the documents of the rows that are "
        "named again. Where it is not: bring the former model back, or embed everything again.",
        evidence=Evidence.CANARY,
        requires=(COLLECTION_THERE, SIGN_OFF),
        unasked=asked_by_collection("canary"),
    ),
)
