"""What an ingestion did and how far one has come; what a search found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kitestring.model.letters import DeadLetter


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an ingestion is. `rows` counts those that Milvus has acknowledged."""

    documents: int
    documents_total: int
    rows: int


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """A document that was left as it was, and why."""

    doc_id: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Rows read back after a run, and those that are missing or changed, with some examples."""

    rows: int
    wrong: int
    by_content: bool = True  # content hashes were compared, not only keys
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpotChecks:
    """Passages embedded again, compared and searched for. `approximate` are those that only an
    exact search has first."""

    passages: int
    failed: int = 0
    approximate: int = 0
    examples: tuple[str, ...] = ()
    reason: str = ""  # why there are none
    inconclusive: str = ""  # why they could not be made


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Texts whose vectors were in the embedding cache, and those that were not."""

    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class EmptiedFolder:
    """A folder whose documents are all gone at once; they stay until the user says that they are
    deleted."""

    path: str
    documents: int


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The result of one ingestion. `seconds` and `phases` are wall-clock."""

    collection: str
    tenant: str
    model: str
    chunker: str
    documents: int
    documents_written: int  # with at least one row written or deleted
    documents_unchanged: int
    documents_removed: int
    rows_written: int
    rows_deleted: int
    rows: int  # in the collection, at the end
    seconds: float
    phases: Mapping[str, float] = field(default_factory=dict)
    failed: tuple[FailedDocument, ...] = ()
    documents_parked: int = 0  # of which some passage could not be written
    parked: tuple[DeadLetter, ...] = ()  # passages; `failed` has the documents
    dead_letters: int = 0  # of the collection, from this run and those before it
    dead_letter_file: str = ""
    read_back: ReadBack | None = None
    spot_checks: SpotChecks | None = None
    cache: CacheUse | None = None
    skipped: tuple[str, ...] = ()
    emptied: tuple[EmptiedFolder, ...] = ()
    made: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    schema_version: int = 1

    @property
    def exit_code(self) -> int:
        """1 where something was not written, 2 where what was written is not right, 3 where that
        could not be told."""
        if self.failed or self.parked:
            return 1
        spots = self.spot_checks
        if (self.read_back and self.read_back.wrong) or (spots and spots.failed):
            return 2
        return 3 if self.emptied or (spots and spots.inconclusive) else 0


@dataclass(frozen=True, slots=True)
class Parent:
    """The larger passage that one is part of; its place in the document, in characters."""

    id: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that a search found. None where the collection has no field for it."""

    score: float
    key: str
    doc_id: str | None
    chunk_index: int | None
    text: str | None
    embedding_model: str | None
    confident: bool | None  # None: the spec names no confidence
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class SearchReport:
    """The passages nearest to a question, nearest first."""

    question: str
    collection: str
    model: str
    metric: str
    confidence: float | None
    passages: tuple[Passage, ...]
    seconds: float
    schema_version: int = 1

    @property
    def confident(self) -> int:
        """Passages that pass the spec's threshold; all of them where there is none."""
        return sum(p.confident is not False for p in self.passages)

    @property
    def other_models(self) -> dict[str, int]:
        """Models other than the question's that made the vectors found -> passages."""
        found = [p.embedding_model for p in self.passages if p.embedding_model]
        return {label: found.count(label) for label in sorted(set(found) - {self.model})}
