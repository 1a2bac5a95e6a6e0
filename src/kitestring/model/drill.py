"""A restore drill as values: phases, scores, and the record that is kept as evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DRILL_VERSION = 1
PHASES = ("target", "copy", "import", "load", "first_answer", "index")
"""The restored copy answers by exact search while its index is still being built."""
OLDER_PHASES = ("target", "copy", "import", "index", "load", "first_query")
"""Of records that have no `full_seconds`: the index was waited for before the first query."""
ANSWER_PHASES = ("copy", "import", "load", "first_answer")
"""What makes up the RTO."""


@dataclass(frozen=True, slots=True)
class Phase:
    name: str  # one of PHASES, or of OLDER_PHASES
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
    rto_seconds: float  # from the target's standing to the first right answer
    phases: tuple[Phase, ...]
    collections: tuple[CollectionScore, ...]
    objectives: tuple[Objective, ...]
    passed: bool
    target: str = "embedded"
    tool_version: str = ""
    notes: tuple[str, ...] = ()
    schema_version: int = DRILL_VERSION
    full_seconds: float | None = None  # until every index was built, and in memory
    bytes: int = 0  # of the objects that were restored; 0 in older records
    sampled: float | None = None  # the part of the rows that was restored; None for all
    differences: tuple[str, ...] = ()  # of users, roles and grants, in words
    method: str = "physical"  # of the backup
    answered: bool | None = None  # the copy gave a right answer; None in older records

    @property
    def rto(self) -> float | None:
        """Seconds to the first right answer; None where there was none."""
        reached = any(p.name in ("first_answer", "first_query") for p in self.phases)
        return self.rto_seconds if reached and self.answered is not False else None


@dataclass(frozen=True, slots=True)
class DrillSummary:
    id: str
    backup: str
    started_at: int
    passed: bool
    rpo_seconds: float
    rto_seconds: float | None  # None: it gave no right answer
    phases: Mapping[str, float] = field(default_factory=dict)
    readable: bool = True  # False: the record could not be read; it then counts as not passed
    problem: str = ""
    full_seconds: float | None = None
    sampled: float | None = None  # a drill of a sample proves less than one that passed

    @property
    def proves(self) -> bool:
        """Whether it shows that the whole backup restores: a sample says nothing of the rest."""
        return self.readable and self.passed and self.sampled is None
