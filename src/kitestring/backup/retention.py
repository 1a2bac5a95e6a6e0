"""Which backups are kept, and why. Pure: what is read and removed is `backup.prune`'s business.

A rule looks at one collection at a time, so that a backup of a single collection never takes the
place of one that holds them all. Buckets (hours, days, ISO weeks, months) are UTC, by the boundary
of a backup. As in other tools only buckets that have a backup are counted: where none were made
for a month, nothing is lost by that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kitestring.model.backup import AHEAD, BackupSummary
from kitestring.model.drill import DrillSummary
from kitestring.spec.backup import Retention

KEEP_ALL = "no retention in the spec"
UNREADABLE = "can't be read"
FUTURE = "in the future"
VERIFIED, READ, DRILLED = "newest verified", "newest fully verified", "newest drilled"
MINIMUM = "minimum"

_BUCKETS: tuple[tuple[str, Callable[[datetime], str]], ...] = (
    ("hourly", lambda t: f"{t:%Y-%m-%dT%H}"),
    ("daily", lambda t: f"{t:%Y-%m-%d}"),
    ("weekly", lambda t: "{}-W{:02d}".format(*t.isocalendar())),
    ("monthly", lambda t: f"{t:%Y-%m}"),
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules say of one backup: which of them keep it; none do where `keep` is false."""

    id: str
    keep: bool
    rules: tuple[str, ...] = ()


def decide(
    summaries: Iterable[BackupSummary],
    drills: Iterable[DrillSummary],
    retention: Retention | None,
    now: int,
) -> tuple[Decision, ...]:
    """What the rules say of each backup of one cluster, the newest first.

    What can't be read, or has a boundary in the future, is kept and fills no rule's number: it
    never is the reason for which a good one goes. The newest backup with a passed drill, the
    newest verified one and the newest of which all was verified are kept in any case.

    Args:
        retention: None keeps everything.
        now: ms since the epoch.
    """
    ordered = sorted(summaries, key=lambda s: (s.boundary or s.created_at, s.id), reverse=True)
    if retention is None:
        return tuple(Decision(s.id, True, (KEEP_ALL,)) for s in ordered)
    kept: dict[str, dict[str, set[str]]] = {s.id: {} for s in ordered}  # id -> rule -> collections
    good = [s for s in ordered if s.readable and s.boundary <= now + AHEAD]
    drills = list(drills)
    passed = {d.backup for d in drills if d.readable and d.passed}  # of a sample, at least
    proven = {d.backup for d in drills if d.proves}
    for names, group in _groups(good):
        for rule, chosen in _rules(group, (proven, passed), retention):
            for summary in chosen:
                kept[summary.id].setdefault(rule, set()).update(names)
    for summary in ordered:
        if not summary.readable:
            kept[summary.id][UNREADABLE] = {""}
        elif summary.boundary > now + AHEAD:
            kept[summary.id][FUTURE] = {""}
    return tuple(
        Decision(s.id, bool(kept[s.id]), tuple(_named(kept[s.id], set(_holds(s))))) for s in ordered
    )


def overdue(
    summaries: Sequence[BackupSummary],
    drills: Iterable[DrillSummary],
    retention: Retention | None,
    now: int,
    slack: float,
) -> tuple[str, ...]:
    """Backups that a prune should have removed `slack` seconds ago or more.

    The rules are asked as they stood when the grace period of today's removals began: what none
    of them kept then is late now.
    """
    if retention is None:
        return ()
    then = now - int((retention.grace + slack) * 1000)
    known = [s for s in summaries if s.boundary <= then and (s.finished_at or 0) <= then]
    kept_now = {d.id for d in decide(summaries, drills, retention, now) if d.keep}
    return tuple(
        d.id for d in decide(known, drills, retention, then) if not d.keep and d.id not in kept_now
    )


def _groups(good: Sequence[BackupSummary]) -> Iterator[tuple[list[str], list[BackupSummary]]]:
    """The backups that hold a collection, once for all collections that the same ones hold."""
    holders: dict[str, list[int]] = {}
    for position, summary in enumerate(good):
        for name in _holds(summary):
            holders.setdefault(name, []).append(position)
    names: dict[tuple[int, ...], list[str]] = {}
    for name, positions in holders.items():
        names.setdefault(tuple(positions), []).append(name)
    for positions_, same in names.items():
        yield same, [good[position] for position in positions_]


def _rules(
    group: Sequence[BackupSummary], drilled: Sequence[set[str]], retention: Retention
) -> Iterator[tuple[str, Sequence[BackupSummary]]]:
    """Each rule with the backups that it keeps; `group` is sorted, the newest first."""
    verified = [s for s in group if s.verified_at is not None]
    for ids in drilled:
        yield DRILLED, [s for s in group if s.id in ids][:1]
    yield READ, [s for s in verified if s.proven_tier == "full"][:1]
    yield VERIFIED, verified[:1]
    yield "last", group[: retention.last]
    for name, bucket_of in _BUCKETS:
        buckets: dict[str, BackupSummary] = {}
        for summary in group:
            bucket = bucket_of(datetime.fromtimestamp(summary.boundary / 1000, UTC))
            held = buckets.setdefault(bucket, summary)
            if held.verified_at is None and summary.verified_at is not None:
                buckets[bucket] = summary  # the newest of the proven ones stands for it
        yield name, list(buckets.values())[: getattr(retention, name)]
    yield MINIMUM, verified[: retention.minimum]


def _holds(summary: BackupSummary) -> tuple[str, ...]:
    """The collections that a backup holds whole; an empty name where it holds none."""
    return summary.whole or ("",)


def _named(rules: dict[str, set[str]], held: set[str]) -> Iterator[str]:
    for rule, collections in rules.items():
        if collections >= held or collections == {""}:
            yield rule
        else:
            yield f"{rule} of {', '.join(sorted(collections))}"
