"""Whether stored vectors are those of the model, whatever their labels say.

The verdict on rows is by rank, not by a threshold: see `kitestring.stats.rank`. Content that has
changed is told apart from a model that has: the canary embeds the stored texts themselves, and is
blind to what they are about; the comparison of vectors with the signed-off ones is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import (
    COLLECTION_THERE,
    Pair,
    asked_by_collection,
    check,
    command,
    examples_text,
    pairs,
    rows_text,
)
from kitestring.model.canary import CanaryEvidence, Obstacle, QueryEncoder
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.model.tally import Tally
from kitestring.spec.loaded import LoadedSpec
from kitestring.stats.holm import holm
from kitestring.stats.power import seen_with
from kitestring.stats.rank import ALPHA, exceedance, limit

SIGN_OFF = "embedding.sign-off"
CANARY = "embedding.canary"
VECTORS = "embedding.vectors"
ENCODER = "embedding.query-encoder"
CONTENT = "embedding.content-drift"

CONTENT_ALPHA = 0.01  # it only warns; 999 permutations give no p value below 0.001
_DOUBT = 0.05
_REPEATABLE = 1 - 1e-6
_LENGTH = 0.01  # part by which the mean norm of the probes may differ

Taken = list[tuple[Pair, CanaryEvidence]]


def signed_off(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Collections whose vectors nobody has signed off."""
    yield from _untaken(SIGN_OFF, loaded, snapshot)
    for pair, seen in _taken(loaded, snapshot):
        if seen.unsigned is not None:
            yield _cannot_tell(SIGN_OFF, pair, seen.unsigned, _sign_off(pair))


def canary(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows that are not what the model gives for their text."""
    taken = _taken(loaded, snapshot)
    chances = [
        exceedance(seen.reembedded.rows, seen.reference.rows, seen.reembedded.below.count)
        for _, seen in taken
        if seen.reembedded and seen.reference
    ]
    adjusted = iter(holm(chances))
    for pair, seen in taken:
        for obstacle in (seen.unread, seen.unanswered):
            if obstacle is not None:
                yield _cannot_tell(CANARY, pair, obstacle)
        if seen.reembedded is not None and seen.reference is not None:
            yield from _ranked(pair, seen, next(adjusted))
            yield from _textless(pair, seen.reembedded.textless)


def _ranked(pair: Pair, seen: CanaryEvidence, chance: float) -> Iterator[Finding]:
    found, reference = seen.reembedded, seen.reference
    if found is None or reference is None:
        return
    needed = limit(found.rows, reference.rows)
    if needed is None:
        yield _cannot_tell(
            CANARY,
            pair,
            Obstacle(
                f"{rows_text(found.rows)} against {reference.rows:,} signed off can prove nothing",
                "raise `canary.rows`, or sign off again with more rows: "
                + _sign_off(pair, renew=True),
            ),
        )
    k = found.below.count
    if not k:
        return
    repeatable = reference.repeatability >= _REPEATABLE
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
        f"(of {reference.rows:,}); by chance alone: {chance:.2g}; {_sees(found.rows, needed)}",
        hint="the model answers otherwise than when it was signed off: see "
        f"`{ENCODER}`; bring the former one back, or embed all rows again"
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
        yield _cannot_tell(
            CANARY,
            pair,
            Obstacle(
                f"{rows_text(textless.count)} of the sample without a text"
                f"{examples_text(textless.examples)}: it can't be embedded again",
                "write the text, or delete the rows",
            ),
        )


def vectors(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Vectors that no search finds, or that are not as long as the model's."""
    yield from _untaken(VECTORS, loaded, snapshot)
    for pair, seen in _taken(loaded, snapshot):
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
            yield _cannot_tell(VECTORS, pair, seen.unread or nothing)
            continue
        of = f"of {'' if found.path == 'sample' else 'all '}{rows_text(found.rows)}"
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
            yield _cannot_tell(VECTORS, pair, Obstacle(found.reason, again))


def query_encoder(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """An encoder of questions that gives other vectors than at the sign-off."""
    for pair, seen in _taken(loaded, snapshot):
        if seen.unanswered is not None:
            yield _cannot_tell(ENCODER, pair, seen.unanswered)
        if seen.query is not None and seen.reference is not None:
            exact = seen.reference.repeatability >= _REPEATABLE
            needed = 1 if exact else limit(seen.query.probes, seen.reference.rows)
            yield from _encoder(pair, seen.model, seen.query, needed)


def _encoder(pair: Pair, model: str, query: QueryEncoder, needed: int | None) -> Iterator[Finding]:
    before, now = query.lengths
    settings = f"; settings: {'; '.join(query.settings)}" if query.settings else ""
    expected = f"the probe texts' vectors of {model} as signed off"
    hint = (
        "a prefix, the normalisation, the truncation or the model itself was changed: undo it, or "
        "embed all rows again and sign off"
    )
    if query.changed:
        certain = needed is not None and len(query.changed) >= needed
        yield Finding(
            ENCODER,
            Severity.FAIL if certain else Severity.WARN,
            pair.subject,
            f"questions are embedded otherwise than when `{model}` was signed off: "
            f"{len(query.changed)} of {query.probes} probe texts have another vector "
            f"({', '.join(query.changed)})",
            expected=expected,
            observed=f"lowest cosine {query.worst:.4f}{settings}",
            hint=hint,
            location=pair.locate("model"),
        )
    elif abs(now - before) > _LENGTH * before:
        yield Finding(
            ENCODER,
            Severity.FAIL,
            pair.subject,
            f"questions get vectors of another length than when `{model}` was signed off",
            expected=expected,
            observed=f"mean length {now:.4f}, signed off {before:.4f}{settings}",
            hint=hint,
            location=pair.locate("model"),
        )
    elif query.settings:
        yield Finding(
            ENCODER,
            Severity.WARN,
            pair.subject,
            f"the settings of `{model}` are not those that were signed off, though it gives the "
            f"same vectors: {'; '.join(query.settings)}",
            expected=expected,
            observed="the same vectors",
            hint=f"sign off again: {_sign_off(pair, renew=True)}",
            location=pair.locate("model"),
        )


def content_drift(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Vectors that are spread otherwise than at the sign-off, though the model is the same."""
    compared = [(p, s, s.content) for p, s in _taken(loaded, snapshot) if s.content is not None]
    chances = holm([content.p_value for _, _, content in compared])
    for (pair, seen, content), chance in zip(compared, chances, strict=True):
        if chance > CONTENT_ALPHA:
            continue
        if seen.reembedded is None or seen.reembedded.below.count:
            yield _cannot_tell(
                CONTENT,
                pair,
                Obstacle(
                    "the vectors are spread otherwise than at the sign-off; whether content or "
                    f"model has changed, `{CANARY}` has to tell",
                    "settle that first",
                ),
            )
            continue
        yield Finding(
            CONTENT,
            Severity.WARN,
            pair.subject,
            "the content has changed: the stored vectors are spread otherwise than at the "
            "sign-off, and the model gives the same vectors",
            expected="vectors spread as signed off",
            observed=f"MMD^2 {content.statistic:.4g}, p = {content.p_value:.3f} ({content.rows:,} "
            f"vectors against {content.reference_rows:,})",
            hint="look at what was ingested; check golden queries and `search.confidence`, and "
            f"where all is well sign off again: {_sign_off(pair, renew=True)}",
            location=pair.locate("canary"),
        )


def _taken(loaded: LoadedSpec, snapshot: Snapshot) -> Taken:
    """The collections that a canary was asked for and taken of."""
    return [
        (pair, pair.observed.canary)
        for pair in pairs(loaded, snapshot)
        if pair.spec.canary is not None and pair.observed.canary is not None
    ]


def _untaken(name: str, loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    for pair in pairs(loaded, snapshot):
        if pair.spec.canary is not None and pair.observed.canary is None:
            nothing = Obstacle("no canary was taken", command(loaded, "embedding check"))
            yield _cannot_tell(name, pair, nothing)


def _metric(pair: Pair) -> str:
    field = pair.spec.fields.vector
    return next((s.index.metric for s in pair.observed.info.indexes if s.index.field == field), "")


def _sign_off(pair: Pair, *, renew: bool = False) -> str:
    more = ("--renew",) if renew else ()
    return command(pair.loaded, "embedding sign-off", "--collection", pair.spec.name, *more)


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


def _cannot_tell(name: str, pair: Pair, obstacle: Obstacle, hint: str = "") -> Finding:
    return Finding(
        name,
        Severity.WARN,
        pair.subject,
        obstacle.reason,
        expected=f"the vectors of `{pair.spec.model}`",
        observed="unknown",
        hint=obstacle.hint or hint,
        location=pair.locate("canary"),
        inconclusive=True,
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
    check(
        ENCODER,
        "Questions are embedded as when the model was signed off",
        query_encoder,
        meaning="The encoder that searches use gives fixed probe texts other vectors than at the "
        "sign-off: questions and stored passages no longer fit, and recall falls without an error.",
        cause="A prefix, the normalisation, the truncation, a tokenizer or the model behind the "
        "endpoint was changed. The names of the probes tell which: short texts weigh a prefix "
        "most, long ones only see truncation, `form` sees case and accents.",
        mend="Undo the change, or embed everything again under another version of the model.",
        evidence=Evidence.CANARY,
        requires=(COLLECTION_THERE, SIGN_OFF),
        unasked=asked_by_collection("canary"),
    ),
    check(
        CONTENT,
        "Content is spread as when it was signed off",
        content_drift,
        meaning="The model is the same, and the stored vectors are spread otherwise than at the "
        "sign-off: other things are written about. No fault by itself; thresholds, golden queries "
        "and chunking were chosen for the former content.",
        cause="New sources, a new language, or a part of the corpus that was removed.",
        mend="Look at what was ingested, calibrate again, and sign off with `--renew`.",
        severity=Severity.WARN,
        evidence=Evidence.CANARY,
        requires=(COLLECTION_THERE, SIGN_OFF),
        unasked=asked_by_collection("canary"),
    ),
)
