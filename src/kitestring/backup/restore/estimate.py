"""How long a restore may take, told from the drills that restored every row. Pure.

Each drill gives a rate for each phase: seconds a byte for the copy, seconds a row for the rest; a
first answer takes as long as it took. Fixed costs of small drills are spread over their rows, so
an estimate for much more data than was ever drilled is too high rather than too low.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from kitestring.model.drill import ANSWER_PHASES, PHASES, DrillRecord
from kitestring.model.restore import RtoEstimate, Span

_NEWEST = 20  # drills that are looked at
_BY_ROWS = ("import", "load", "index")


def estimate(records: Sequence[DrillRecord], size: int, rows: int) -> RtoEstimate:
    """The estimate for a restore of `size` bytes and `rows` rows.

    Args:
        records: newest first; those count that restored every row (whatever else they missed)
            and told answer and index apart.
    """
    used = [r for r in records if _restored(r)][:_NEWEST]
    if not used:
        return RtoEstimate(0)
    each = [_scaled(record, size, rows) for record in used]
    rates = {
        name: 1 / middle
        for name in _BY_ROWS
        if (middle := median(_seconds(r).get(name, 0.0) / restored_rows(r) for r in used))
    }
    copied = [r.bytes / s for r in used if r.bytes and (s := _seconds(r).get("copy"))]
    return RtoEstimate(
        drills=len(used),
        answer=_span([sum(one[n] for n in ANSWER_PHASES) for one in each]),
        full=_span([sum(one.values()) for one in each]),
        phases={name: median(one[name] for one in each) for name in _phases()},
        bytes_per_second=median(copied) if copied else None,
        rows_per_second=rates,
    )


def _restored(record: DrillRecord) -> bool:
    whole = all(score.rows_restored == score.rows_expected for score in record.collections)
    return whole and record.full_seconds is not None and restored_rows(record) > 0


def restored_rows(record: DrillRecord) -> int:
    return sum(score.rows_restored for score in record.collections)


def _scaled(record: DrillRecord, size: int, rows: int) -> dict[str, float]:
    """What the drill's phases would take for another size."""
    took = _seconds(record)
    by_rows = rows / restored_rows(record)
    by_bytes = size / record.bytes if record.bytes else by_rows
    factors = {"copy": by_bytes, "first_answer": 1.0}
    return {name: took.get(name, 0.0) * factors.get(name, by_rows) for name in _phases()}


def _phases() -> tuple[str, ...]:
    return tuple(name for name in PHASES if name != "target")


def _seconds(record: DrillRecord) -> Mapping[str, float]:
    return {phase.name: phase.seconds for phase in record.phases}


def _span(seconds: Sequence[float]) -> Span:
    return Span(min(seconds), median(seconds), max(seconds))
