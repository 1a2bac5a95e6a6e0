"""What a canary saw of one collection: rows embedded again, set against a sign-off."""

from __future__ import annotations

from dataclasses import dataclass

from kitestring.model.tally import NOTHING, Tally


@dataclass(frozen=True, slots=True)
class Reference:
    """The sign-off that was compared with."""

    signed_at: int  # ms since the epoch
    rows: int
    tau: float  # its least cosine
    repeatability: float  # the least cosine of a text embedded twice


@dataclass(frozen=True, slots=True)
class InSegment:
    """Rows of one segment that were embedded again."""

    id: int
    rows: int
    below: int


@dataclass(frozen=True, slots=True)
class Reembedded:
    """Stored texts embedded again: how many, and those whose cosine is below tau, worst first."""

    rows: int
    below: Tally = NOTHING
    worst: float = 1.0  # the least cosine
    first_rows: int = 0  # of the first sample, where a second one was drawn
    first_below: int = 0
    textless: Tally = NOTHING  # rows of the sample without a text
    segments: tuple[InSegment, ...] = ()  # empty where a row's segment is not known


@dataclass(frozen=True, slots=True)
class QueryEncoder:
    """The probe texts by the encoder that searches use, against those of the sign-off."""

    probes: int
    changed: tuple[str, ...] = ()  # names of the probes whose vector is another
    worst: float = 1.0  # the least cosine
    lengths: tuple[float, float] = (1.0, 1.0)  # mean norm at the sign-off, and now
    settings: tuple[str, ...] = ()  # what of the model's settings is another


@dataclass(frozen=True, slots=True)
class Vectors:
    """Stored vectors, looked at one by one."""

    path: str  # sample, segments or api
    rows: int
    counted: int  # rows of the collection
    dimension: int
    complete: bool = True
    reason: str = ""  # why not all that were asked for could be read
    not_finite: Tally = NOTHING
    zero: Tally = NOTHING
    other_length: Tally = NOTHING  # norm not 1, where the model's vectors are scaled to it
    until: int | None = None  # ms since the epoch: later writes are not in the files; None: all are

    @property
    def bad(self) -> int:
        """Vectors with a fault."""
        return self.not_finite.count + self.zero.count + self.other_length.count


@dataclass(frozen=True, slots=True)
class Content:
    """Stored vectors now against those of the sign-off: the pooled permutation test (MMD)."""

    rows: int
    reference_rows: int
    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why something could not be told, and what to do."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class CanaryEvidence:
    """What one canary came to. None where a part could not be measured: a problem says why."""

    model: str
    population: int = 0  # rows that carry the model's label, or all where rows carry none
    seed: str = ""  # of the choice of rows
    reference: Reference | None = None
    reembedded: Reembedded | None = None
    query: QueryEncoder | None = None
    vectors: Vectors | None = None
    content: Content | None = None
    unread: Obstacle | None = None  # rows
    unsigned: Obstacle | None = None  # there is no sign-off, or none that can be used
    unanswered: Obstacle | None = None  # the model
    seconds: float = 0.0
