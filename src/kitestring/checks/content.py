"""Whether content has changed, told apart from a model that has.

The canary embeds the stored texts themselves, and is blind to what they are about; the comparison
of vectors with the signed-off ones is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import (
    COLLECTION_THERE,
    asked_by_collection,
    check,
)
from kitestring.checks.canary_evidence import (
    CANARY,
    SIGN_OFF,
    cannot_tell,
    sign_off_command,
    taken,
)
from kitestring.model.canary import Obstacle
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec
from kitestring.stats.holm import holm

CONTENT = "embedding.content-drift"
CONTENT_ALPHA = 0.01  # it only warns; 999 permutations give no p value below 0.001


def content_drift(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Vectors that are spread otherwise than at the sign-off, though the model is the same."""
    compared = [(p, s, s.content) for p, s in taken(loaded, snapshot) if s.content is not None]
    chances = holm([content.p_value for _, _, content in compared])
    for (pair, seen, content), chance in zip(compared, chances, strict=True):
        if chance > CONTENT_ALPHA:
            continue
        if seen.reembedded is None or seen.reembedded.below.count:
            yield cannot_tell(
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
            f"where all is well sign off again: {sign_off_command(pair, renew=True)}",
            location=pair.locate("canary"),
        )


CHECKS = (
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
