"""A restore as values: what it would do, how long that may take, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kitestring.model.drill import ANSWER_PHASES

RESTORE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds: the least, the middle and the most of what past drills suggest."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class RtoEstimate:
    """How long a restore may take, from the rates of past drills. `drills` is 0 without any."""

    drills: int
    answer: Span | None = None  # until the first right answer
    full: Span | None = None  # until every index is built
    phases: Mapping[str, float] = field(default_factory=dict)  # median seconds
    bytes_per_second: float | None = None  # of the copy
    rows_per_second: Mapping[str, float] = field(default_factory=dict)  # by phase


@dataclass(frozen=True, slots=True)
class PlannedCollection:
    """What becomes of one collection of a backup."""

    name: str  # in the backup
    target: str  # on the target
    replaces: bool  # a collection of that name
    rows: int
    bytes: int  # of its objects
    partitions: tuple[str, ...]
    indexes: tuple[str, ...]
    aliases: tuple[str, ...]  # that will lead to it
    loaded: bool
    replicas: int
    memory: int | None = None  # bytes that one replica takes; None where it can't be told


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do; nothing was changed."""

    backup: str
    method: str
    cluster: str
    boundary: int  # ms since the epoch
    database: str
    creates_database: bool
    collections: tuple[PlannedCollection, ...]
    roles: tuple[str, ...]  # that would be created or granted to
    users: tuple[str, ...]  # that would be created
    not_restorable: tuple[str, ...]  # in words
    staged_bytes: int  # copied beside the segments of the target, and removed afterwards
    needed_bytes: int  # staged, imported and indexed
    free_bytes: int | None  # of the target's store; None where it can't be told
    estimate: RtoEstimate
    notes: tuple[str, ...] = ()
    schema_version: int = RESTORE_VERSION

    @property
    def rows(self) -> int:
        return sum(c.rows for c in self.collections)


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What was restored. Seconds are by phase (see `kitestring.model.drill.PHASES`)."""

    collections: Mapping[str, str]  # name in the backup -> name on the target
    rows: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # in words
    not_restored: tuple[str, ...] = ()  # what is not as it was, in words
    answer_seconds: float | None = None  # to the first right answer; None where none was asked
    full_seconds: float = 0.0  # until every index was built
    database: str = "default"
    schema_version: int = RESTORE_VERSION


def answer_seconds(seconds: Mapping[str, float]) -> float:
    """The phases of a restore until its first right answer."""
    return sum(seconds.get(name, 0.0) for name in ANSWER_PHASES)
