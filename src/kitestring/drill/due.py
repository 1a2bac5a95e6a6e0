"""Whether a drill is due, and running it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kitestring.errors import UsageError
from kitestring.model.backup import AHEAD
from kitestring.model.drill import DrillRecord, DrillSummary
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.types import format_duration

OnEvent = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DrillDue:
    """Whether a drill has to be run, why (or why not), and the newest one that has passed."""

    due: bool
    reason: str
    newest: DrillSummary | None


def drill_due(
    loaded: LoadedSpec, drills: Sequence[DrillSummary], now: float, max_age: float | None = None
) -> DrillDue:
    """Whether no drill has passed lately, or the newest one did not.

    Args:
        now: seconds since the epoch.
        max_age: seconds; the objective `drill_every` of the spec by default.

    Raises:
        UsageError: neither says how old a passed drill may be.
    """
    limit = max_age
    if limit is None and loaded.spec.objectives is not None:
        limit = loaded.spec.objectives.drill_every
    if limit is None:
        raise UsageError(
            "nothing says how often to drill",
            hint=f"name a largest age, or write `objectives` in {loaded.file}",
        )
    # a sample that passed proves too little to count, and too much to be a failure
    counted = [d for d in drills if d.sampled is None or not d.passed]
    # one of the future, by a clock that was set back since, would never be old
    counted = [d for d in counted if d.started_at <= now * 1000 + AHEAD]
    ordered = sorted(counted, key=lambda d: (d.started_at, d.id), reverse=True)
    passed = next((d for d in ordered if d.passed), None)
    if passed is None:
        return DrillDue(True, "no drill has passed yet", None)
    if ordered[0] is not passed:
        return DrillDue(True, f"the newest drill, {ordered[0].id}, did not pass", passed)
    old, allowed = now - passed.started_at / 1000 > limit, format_duration(limit)
    text = f"the newest drill that passed is {'' if old else 'not '}older than {allowed}"
    return DrillDue(old, text, passed)


def ensure_drill(
    loaded: LoadedSpec,
    *,
    max_age: float | None = None,
    force: bool = False,
    dry_run: bool = False,
    target: str | None = None,
    on_event: OnEvent | None = None,
) -> tuple[DrillDue, DrillRecord | None]:
    """Runs a drill of the newest backup if one is due; what was due, and its record.

    Args:
        target: `embedded` or `kubernetes`; what `day2.drill` of the spec names by default.

    Raises:
        UsageError: see `drill_due`.
        DrillFailed, BackupError, MilvusError: it could not be carried out.
    """
    from kitestring.backup.drill_history import open_history

    history = open_history(loaded)
    due = drill_due(loaded, history.summaries(), time.time(), max_age)
    if force and not due.due:
        due = DrillDue(True, "asked for", due.newest)
    if not due.due:
        return due, None
    named = loaded.spec.day2.drill
    other = named.target_spec if target is None else None
    given = load(loaded.resolve(other)) if other is not None else None
    on_kubernetes = (target or named.target) == "kubernetes"
    if dry_run:  # what would be refused is refused; the backup may still be made before
        history.check_writable()
        if on_kubernetes:
            from kitestring.drill.deployed import require_deployment

            require_deployment(loaded)
        return due, None
    from kitestring.drill.run import run_drill

    record = run_drill(
        loaded, backup="latest", target=given, on_kubernetes=on_kubernetes, on_event=on_event
    )
    return due, record
