"""How well the golden queries are answered, as values."""

from __future__ import annotations

from dataclasses import dataclass

CALIBRATION_VERSION = 1


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} (95% interval {self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True)
class Calibration:
    """The score from which on a best answer is to be trusted, for one version of one model.

    `precision` and `coverage` are what the golden queries had at that score: the share of the
    confident best answers that were right, and the share of the queries that had one.
    """

    collection: str
    model: str  # name@version
    metric: str
    score: float
    precision: float
    coverage: float
    wanted: float  # precision
    queries: int
    golden: str  # SHA-256 of the file of golden queries
    made_at: int  # ms since the epoch
    schema_version: int = CALIBRATION_VERSION


@dataclass(frozen=True, slots=True)
class Gone:
    """A golden query of which relevant documents are not in the collection."""

    query: str
    documents: tuple[str, ...]
    all: bool  # no relevant document is left


@dataclass(frozen=True, slots=True)
class RetrievalSeen:
    """`reason` says why nothing was asked, `uncalibrated` why no answer can be trusted."""

    queries: int = 0  # asked, of which a relevant document is there
    k: int = 0
    hits: Interval | None = None  # right and confident
    found: Interval | None = None  # right, whatever the score
    gone: tuple[Gone, ...] = ()
    calibration: Calibration | None = None
    uncalibrated: str = ""
    dense: Interval | None = None  # mean reciprocal rank of the first right document
    hybrid: Interval | None = None
    gain: Interval | None = None  # hybrid minus dense, query by query
    bm25: str = ""  # the field that the server ranked by; empty where the texts were ranked here
    reason: str = ""
    seconds: float = 0.0
