"""The steps of a run as values: what was done, what came of it, how long it took."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One step that a person reads on a timeline."""

    name: str  # a few words: `ingest`, `backup`, `plant faults`
    happened: str  # one sentence with the figures that matter
    seconds: float
    ok: bool = True  # False: the step did not end as it should have
