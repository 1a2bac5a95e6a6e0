"""A restore drill as values: phases, scores, and the record that is kept as evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DRILL_VERSION = 1
PHASES = ("target", "copy", "import", "index", "load", "first_query")


@dataclass(frozen=True, slots=True)
class Phase:
    name: str  # one of PHASES
    seconds: float


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective of the spec beside what the drill measured."""

    name: str  # rpo, rto, recall, rows, content, …
    wanted: str
    measured: str
    met: bool


@dataclass(frozen=True, slots=True)
class Recall:
    """recall@k of golden queries, ANN against exact search on the restored copy."""

    k: int
    queries: int
    mean: float
    low: float  # bounds of the 95% bootstrap interval of the mean
    high: float
    p5: float  # 5th percentile over queries
    against_source: float | None = None  # overlap with the source's own answers


@dataclass(frozen=True, slots=True)
class CollectionScore:
    name: str
    rows_expected: int
    rows_restored: int
    keys_match: bool
    content_match: bool
    deleted_present: int  # keys deleted before the boundary that came back
    differences: tuple[str, ...] = ()  # schema, index, alias, load differences, in words
    recall: Recall | None = None
    recall_reason: str = ""  # why there is none; else which queries were asked


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """The evidence of one drill. Times are ms since the epoch, durations seconds."""

    id: str
    backup: str
    cluster: str
    server_version: str
    started_at: int
    finished_at: int
    boundary: int
    rpo_seconds: float  # drill start minus boundary
    rto_seconds: float  # sum of the phases after the target stood
    phases: tuple[Phase, ...]
    collections: tuple[CollectionScore, ...]
    objectives: tuple[Objective, ...]
    passed: bool
    target: str = "embedded"
    tool_version: str = ""
    notes: tuple[str, ...] = ()
    schema_version: int = DRILL_VERSION


@dataclass(frozen=True, slots=True)
class DrillSummary:
    id: str
    backup: str
    started_at: int
    passed: bool
    rpo_seconds: float
    rto_seconds: float
    phases: Mapping[str, float] = field(default_factory=dict)
    readable: bool = True  # False: the record could not be read; it then counts as not passed
    problem: str = ""
