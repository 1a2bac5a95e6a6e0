"""From what a drill measured to objectives met or missed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from kitestring.model.backup import AHEAD
from kitestring.model.drill import ANSWER_PHASES, CollectionScore, Objective
from kitestring.render.words import duration
from kitestring.spec.models import Objectives
from kitestring.spec.types import format_duration

NOT_MEASURED = "not measured"


def rto_seconds(phases: Mapping[str, float]) -> float:
    """From the target's standing to the first right answer: its start is the operator's hardware,
    not the backup's, and an index may be built while the copy answers."""
    return sum(phases.get(name, 0.0) for name in ANSWER_PHASES)


def judge(
    wanted: Objectives | None,
    *,
    rpo: float,
    rto: float | None,
    full: float,
    scores: Sequence[CollectionScore],
    expected: Sequence[str],
    searched: Collection[str],
    access: Sequence[str] | None = None,
    sampled: bool = False,
) -> tuple[Objective, ...]:
    """Every objective and how it was met.

    Rows, content, deleted keys and definitions are objectives of every drill; RPO, RTO and recall
    are judged where the spec has objectives. What was not measured is not met.

    Args:
        rpo: seconds from the backup's boundary to the drill's start.
        rto: seconds until the restored copy answered; None when it did not.
        full: seconds until its indexes were ready: shown beside the RTO, and held to nothing.
        scores: of the collections that were compared.
        expected: names of the collections that the backup holds.
        searched: those of them that have an index on a vector: without one, there is no recall.
        access: how users, roles and grants differ; None where they were not compared.
        sampled: only a part of the rows was restored, whose RTO is not that of the backup.
    """
    found = []
    if wanted is not None:
        found += [_rpo(wanted, rpo)]
        found += [] if sampled else [_rto(wanted, rto, full)]
        found += _recall(wanted, [score for score in scores if score.name in searched])
    missing = sorted(set(expected) - {score.name for score in scores})
    return (*found, *_evidence(scores, missing), *_access(access))


def _rpo(wanted: Objectives, rpo: float) -> Objective:
    limit = f"at most {format_duration(wanted.rpo)}"
    if rpo * 1000 < -AHEAD:
        measured = f"unknown: the boundary is {duration(-rpo)} in the future, a clock was set back"
        return Objective("rpo", limit, measured, False)
    return Objective("rpo", limit, duration(rpo), rpo <= wanted.rpo)


def _rto(wanted: Objectives, rto: float | None, full: float) -> Objective:
    limit = f"a right answer within {format_duration(wanted.rto)}"
    if rto is None:
        return Objective("rto", limit, "no correct answer", False)
    measured = f"{duration(rto)} (indexes ready after {duration(full)})"
    return Objective("rto", limit, measured, rto <= wanted.rto)


def _recall(wanted: Objectives, scores: Sequence[CollectionScore]) -> list[Objective]:
    limit = f"recall@{wanted.recall.k} of at least {wanted.recall.minimum:g}"
    found = []
    for score in scores:
        if score.recall is not None:
            found.append(
                Objective(
                    f"recall of {score.name}",
                    limit,
                    f"{score.recall.mean:.4f} "
                    f"({score.recall.low:.4f} to {score.recall.high:.4f} at 95%)",
                    score.recall.mean >= wanted.recall.minimum,
                )
            )
        elif score.rows_expected:  # nothing to recall in an empty collection
            reason = score.recall_reason or NOT_MEASURED
            found.append(Objective(f"recall of {score.name}", limit, reason, False))
    return found


def _evidence(scores: Sequence[CollectionScore], missing: Sequence[str]) -> list[Objective]:
    unread = f"{NOT_MEASURED}: {', '.join(missing)}" if missing else ""
    expected = sum(score.rows_expected for score in scores)
    restored = sum(score.rows_restored for score in scores)
    equal = [score.rows_expected == score.rows_restored for score in scores]
    content = [score.keys_match and score.content_match for score in scores]
    present = sum(score.deleted_present for score in scores)
    different = [score.name for score in scores if score.differences]
    bad = [score.name for score, good in zip(scores, content, strict=True) if not good]
    return [
        Objective(
            "rows",
            f"{expected:,}" if scores else "as in the backup",
            unread or f"{restored:,}",
            not missing and all(equal),
        ),
        Objective(
            "content",
            "keys and content as in the backup",
            unread or (f"not equal: {', '.join(bad)}" if bad else "equal"),
            not missing and all(content),
        ),
        Objective(
            "deleted keys",
            "none came back",
            unread or f"{present} came back",
            not missing and present == 0,
        ),
        Objective(
            "definitions",
            "as in the backup",
            unread or (f"not equal: {', '.join(different)}" if different else "equal"),
            not missing and not different,
        ),
    ]


def _access(differences: Sequence[str] | None) -> list[Objective]:
    if differences is None:
        return []
    measured = f"{len(differences)} differ" if differences else "equal"
    return [
        Objective("access", "users, roles and grants as in the backup", measured, not differences)
    ]
