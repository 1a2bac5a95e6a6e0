"""Whether questions are embedded as when the model was signed off."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import (
    COLLECTION_THERE,
    Pair,
    asked_by_collection,
    check,
)
from kitestring.checks.canary_evidence import (
    REPEATABLE,
    SIGN_OFF,
    cannot_tell,
    sign_off_command,
    taken,
)
from kitestring.model.canary import QueryEncoder
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec
from kitestring.stats.rank import limit

ENCODER = "embedding.query-encoder"
_LENGTH = 0.01  # part by which the mean norm of the probes may differ


def query_encoder(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """An encoder of questions that gives other vectors than at the sign-off."""
    for pair, seen in taken(loaded, snapshot):
        if seen.unanswered is not None:
            yield cannot_tell(ENCODER, pair, seen.unanswered)
        if seen.query is not None and seen.reference is not None:
            exact = seen.reference.repeatability >= REPEATABLE
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
            hint=f"sign off again: {sign_off_command(pair, renew=True)}",
            location=pair.locate("model"),
        )


CHECKS = (
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
)
