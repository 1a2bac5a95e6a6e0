"""Backups and drills as metrics.

Ages are those of the data (now minus the boundary) when the text was made; what is scraped from a
file grows stale unnoticed, so each age has a timestamp beside it, to be taken from `time()`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kitestring.model.backup import AHEAD, BackupSummary
from kitestring.model.drill import DrillRecord, DrillSummary
from kitestring.render.prometheus import Gauge, Labels, metrics_as_text


def backups_as_metrics(
    cluster: str,
    summaries: Sequence[BackupSummary],
    drills: Sequence[DrillSummary],
    newest: DrillRecord | None,
    now: int,
) -> str:
    """The metrics of a catalog and of its drills.

    Args:
        summaries: of the cluster; those that can't be read are counted as such.
        newest: the record of the newest drill that can be read.
        now: ms since the epoch.
    """
    gauges = [*_catalog(cluster, summaries, drills, now), *drill_gauges(cluster, drills, newest)]
    return metrics_as_text(gauges)


def drills_as_metrics(
    cluster: str, drills: Sequence[DrillSummary], newest: DrillRecord | None
) -> str:
    """The metrics of a drill history alone."""
    return metrics_as_text(drill_gauges(cluster, drills, newest))


def _catalog(
    cluster: str, summaries: Sequence[BackupSummary], drills: Sequence[DrillSummary], now: int
) -> Iterator[Gauge]:
    mine: Labels = {"cluster": cluster}
    readable = [s for s in summaries if s.readable]
    # one of the future, by a clock that was set back since, would hide that no newer one is made
    good = [s for s in readable if s.boundary <= now + AHEAD]
    good.sort(key=lambda s: (s.boundary, s.id), reverse=True)
    yield Gauge(
        "kitestring_backups",
        "Backups in the catalog, by what is the matter with them",
        [
            ({**mine, "state": "kept"}, sum(s.marked_at is None for s in good)),
            ({**mine, "state": "marked"}, sum(s.marked_at is not None for s in good)),
            ({**mine, "state": "unreadable"}, len(summaries) - len(readable)),
            ({**mine, "state": "future"}, len(readable) - len(good)),
        ],
    )
    proven = {d.backup for d in drills if d.proves}
    for name, which, what in (
        ("", good, "backup"),
        ("_verified", [s for s in good if s.verified_at is not None], "verified backup"),
        ("_drilled", [s for s in good if s.id in proven], "backup that has passed a drill"),
    ):
        ages = [(mine, (now - s.boundary) / 1000) for s in which[:1]]
        times = [(mine, s.boundary / 1000) for s in which[:1]]
        metric = f"kitestring_backup_newest{name}"
        yield Gauge(f"{metric}_age_seconds", f"Age of the data of the newest {what}", ages)
        yield Gauge(f"{metric}_timestamp_seconds", f"Boundary of the newest {what}", times)
    holders: dict[str, BackupSummary] = {}
    for summary in good:
        for collection in summary.whole:
            holders.setdefault(collection, summary)
    yield Gauge(
        "kitestring_backup_collection_newest_timestamp_seconds",
        "Boundary of the newest backup that holds the collection whole",
        [({**mine, "collection": c}, s.boundary / 1000) for c, s in sorted(holders.items())],
    )
    yield from _newest(mine, good[:1])


def _newest(mine: Labels, newest: Sequence[BackupSummary]) -> Iterator[Gauge]:
    """Sizes and duration of the newest backup."""
    for s in newest:
        yield Gauge("kitestring_backup_rows", "Rows in the newest backup", [(mine, s.rows)])
        yield Gauge("kitestring_backup_size_bytes", "Bytes it needs", [(mine, s.bytes)])
        copied = [(mine, float(s.copied_bytes))]
        yield Gauge("kitestring_backup_copied_bytes", "Bytes that were new in it", copied)
        if s.reuse is not None:
            text = "Share of its bytes that older backups had brought"
            yield Gauge("kitestring_backup_reuse_ratio", text, [(mine, s.reuse)])
        if s.finished_at:
            seconds = (s.finished_at - s.created_at) / 1000
            yield Gauge("kitestring_backup_duration_seconds", "Time it took", [(mine, seconds)])


def drill_gauges(
    cluster: str, drills: Sequence[DrillSummary], newest: DrillRecord | None
) -> Iterator[Gauge]:
    """The gauges of a drill history; RPO, RTO and recall are those of the newest drill."""
    mine: Labels = {"cluster": cluster}
    readable = sorted((d for d in drills if d.readable), key=lambda d: d.started_at)
    yield Gauge(
        "kitestring_drills",
        "Drills in the history, by verdict",
        [
            ({**mine, "verdict": "passed"}, sum(d.passed for d in readable)),
            ({**mine, "verdict": "failed"}, sum(not d.passed for d in readable)),
            ({**mine, "verdict": "unreadable"}, len(drills) - len(readable)),
        ],
    )
    yield Gauge(
        "kitestring_drill_newest_passed_timestamp_seconds",
        "Start of the newest drill of a whole backup that has passed",
        [(mine, d.started_at / 1000) for d in readable if d.proves][-1:],
    )
    for d in readable[-1:]:
        start = [(mine, d.started_at / 1000)]
        yield Gauge("kitestring_drill_newest_timestamp_seconds", "Start of the newest drill", start)
        text = "1 where the newest drill has passed, else 0"
        yield Gauge("kitestring_drill_passed", text, [(mine, float(d.passed))])
        text = "RPO of the newest drill: its start minus the boundary"
        yield Gauge("kitestring_drill_rpo_seconds", text, [(mine, d.rpo_seconds)])
        text = "RTO of the newest drill: the phases after the target stood"
        rto = [] if d.rto_seconds is None else [(mine, d.rto_seconds)]
        yield Gauge("kitestring_drill_rto_seconds", text, rto)
        phases = [({**mine, "phase": name}, s) for name, s in d.phases.items()]
        text = "Time of each phase of the newest drill"
        yield Gauge("kitestring_drill_phase_duration_seconds", text, phases)
    if newest is not None:
        yield from _scores(mine, newest)


def _scores(mine: Labels, record: DrillRecord) -> Iterator[Gauge]:
    met = [({**mine, "objective": o.name}, float(o.met)) for o in record.objectives]
    text = "1 where the newest drill has met the objective, else 0"
    yield Gauge("kitestring_drill_objective_met", text, _once(met))
    scored = [
        ({**mine, "collection": score.name, "k": str(score.recall.k)}, score.recall)
        for score in record.collections
        if score.recall is not None
    ]
    for suffix, of, text in (
        ("", "mean", "Recall at k of the restored collection against exact search"),
        ("_low", "low", "Lower bound of the recall's 95% interval"),
        ("_high", "high", "Upper bound of the recall's 95% interval"),
    ):
        samples = [(labels, float(getattr(recall, of))) for labels, recall in scored]
        yield Gauge(f"kitestring_drill_recall{suffix}_ratio", text, samples)


def _once(samples: Sequence[tuple[Labels, float]]) -> list[tuple[Labels, float]]:
    """One sample for each set of labels, the worst: a series may be there only once."""
    found: dict[tuple[tuple[str, str], ...], float] = {}
    for labels, value in samples:
        key = tuple(labels.items())
        found[key] = min(value, found.get(key, value))
    return [(dict(key), value) for key, value in found.items()]
