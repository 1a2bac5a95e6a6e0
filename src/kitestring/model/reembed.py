"""A re-embedding as values: the operation as it is kept, its plan, its gates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kitestring.model.finding import Verdict

OPERATION_VERSION = 1

CREATING = "creating"  # the shadow collection is being made
COPYING = "copying"
READY = "ready"  # copied; what ingestion writes is caught up at the cutover
SWITCHING = "switching"  # gates are met, aliases are on their way
CUT_OVER = "cut-over"  # clients are on the new collection, the old one is kept
RETURNING = "returning"  # aliases are on their way back
ROLLED_BACK = "rolled-back"  # clients are on the old collection, the new one is kept
DISCARDING = "discarding"  # the shadow collection is being dropped
FINISHING = "finishing"  # the old collection is being dropped
FINISHED, DISCARDED = "finished", "discarded"
ENDED = (FINISHED, DISCARDED)
BEFORE_CUTOVER = (CREATING, COPYING, READY)


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of a cutover. `low` and `high` bound a mean (95%, bootstrap)."""

    name: str  # rows, keys, content, labels, recall, overlap, hits, latency
    wanted: str
    measured: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One re-embedding, as the state directory keeps it. Times are ms since the epoch."""

    source: str  # the collection that was live before
    source_id: int  # the server's
    shadow: str
    aliases: tuple[str, ...]
    model_from: str
    model_to: str
    state: str
    started_at: int
    updated_at: int
    shadow_id: int | None = None
    read_by: str = ""  # segments or api
    rows: int = 0  # of the source, when it was last counted
    copied: int = 0
    cut_over_at: int | None = None
    cutover_seconds: float | None = None  # aliases and registry
    rollback_seconds: float | None = None
    gates: tuple[Gate, ...] = ()
    notes: tuple[str, ...] = ()
    schema_version: int = OPERATION_VERSION

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a re-embedding will take. `requests` is None where the model answers in-process."""

    rows: int
    sampled: int  # rows whose text was looked at
    characters: int  # of all texts, from the sample
    tokens: int  # four characters each: an order of magnitude, tokenizers differ
    embed_rate: float  # texts a second, measured on the sample
    requests: int | None
    seconds: float  # of embedding: the measured rate, or the model's rate limit where that is less
    read_by: str
    memory: int | None  # bytes of the loaded shadow collection
    stored: int | None  # bytes of it in object storage
    room: str  # what is said of the deployment's nodes


@dataclass(frozen=True, slots=True)
class ReembedPlan:
    """What `reembed run` would do. `refused` is empty where it can."""

    collection: str
    shadow: str
    aliases: tuple[str, ...]
    model_from: str
    model_to: str
    dimension_from: int
    dimension_to: int
    estimate: Estimate | None
    steps: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()  # what, and what to do
    notes: tuple[str, ...] = ()
    schema_version: int = 1

    @property
    def exit_code(self) -> int:
        return 1 if self.refused else 0


@dataclass(frozen=True, slots=True)
class ReembedStatus:
    """An operation with what it is at, and what to do next."""

    operation: Operation
    lag: int | None  # rows that ingestion changed and the shadow has not; None where not asked
    working: bool  # a process is at it
    next: str
    finish_from: int | None = None  # ms since the epoch
    edits: tuple[str, ...] = ()  # lines of the spec to change
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """How far a copy is, in rows of the source."""

    seen: int
    total: int
    embedded: int


OnProgress = Callable[[CopyProgress], None]
OnEvent = Callable[[str], None]
