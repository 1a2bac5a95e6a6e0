"""What is: everything that one observation of a cluster saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kitestring.model.access import AccessSeen
from kitestring.model.backup import BackupSummary
from kitestring.model.canary import CanaryEvidence
from kitestring.model.collection import CollectionInfo, LoadedSegment, ResourceGroup, Segment
from kitestring.model.corpus import CorpusSeen
from kitestring.model.database import DatabaseSeen
from kitestring.model.drill import DrillSummary
from kitestring.model.infra import InfraSnapshot
from kitestring.model.nodes import NodesSeen
from kitestring.model.recall import LiveRecall
from kitestring.model.retrieval import RetrievalSeen
from kitestring.model.settings import SettingsSeen
from kitestring.model.tally import NOTHING
from kitestring.model.tally import Tally as Tally
from kitestring.model.tasks import TaskSeen
from kitestring.model.tenancy import IsolationSeen


@dataclass(frozen=True, slots=True)
class RowCensus:
    """What a scan of all rows of a collection, set against the ledger, came to.

    `path` says how the rows were read: `segments` (the server's own files) or `api`, and `note`
    why it was not the other, or what was left out. A census that is not `complete` proves nothing
    by its absence of faults.
    """

    path: str
    complete: bool
    reason: str = ""  # why it is not complete
    rows_read: int = 0
    distinct_keys: int = 0
    counted: int = 0  # count(*) of the server at the same instant; 0 where it was not asked
    ledger_rows: int | None = None  # None: there is no ledger for this collection
    missing: Tally = NOTHING  # in the ledger, not in the store
    orphan: Tally = NOTHING  # in the store, not in the ledger
    stale: Tally = NOTHING  # in both, with another content hash
    duplicate: Tally = NOTHING  # a key more than once
    # a content hash at several keys of one tenant; None: the collection has no such field
    duplicate_content: Tally | None = None
    unfinished: Tally = NOTHING  # documents that an ingestion began, and that none is writing now
    watermark: int | None = None  # ms since the epoch: later rows were left out
    note: str = ""
    # label -> rows; None: the collection has no such field
    models: Mapping[str, int] | None = None
    chunkers: Mapping[str, int] | None = None
    model_examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    chunker_examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ObservedCollection:
    info: CollectionInfo
    segments: tuple[Segment, ...] = ()
    loaded_segments: tuple[LoadedSegment, ...] = ()
    census: RowCensus | None = None  # None: rows were not asked for
    corpus: CorpusSeen | None = None  # None: it was not asked for
    recall: LiveRecall | None = None  # None: it was not asked for
    retrieval: RetrievalSeen | None = None  # None: it was not asked for
    isolation: IsolationSeen | None = None  # None: it was not asked for
    canary: CanaryEvidence | None = None  # None: not asked for

    @property
    def written(self) -> int:
        """Rows on disk or in memory; those deleted since are not subtracted."""
        on_disk = sum(s.rows for s in self.segments)
        return max(on_disk, sum(s.rows for s in self.loaded_segments))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One observation of one cluster. `taken_at` is ms since the epoch."""

    cluster: str
    server_version: str
    taken_at: int
    collections: Mapping[str, ObservedCollection]
    aliases: Mapping[str, str] = field(default_factory=dict)  # alias -> collection
    backups: tuple[BackupSummary, ...] | None = None  # None: the catalog could not be read
    backups_error: str = ""
    backups_overdue: tuple[str, ...] = ()  # ids of those that a prune should have removed
    drills: tuple[DrillSummary, ...] = ()
    dead_letters: Mapping[str, int] = field(default_factory=dict)  # collection -> not written
    infra: InfraSnapshot | None = None  # None: Kubernetes was not looked at
    resource_groups: tuple[ResourceGroup, ...] | None = None  # None: they were not asked for
    database: DatabaseSeen | None = None  # None: its settings were not asked for
    settings: SettingsSeen | None = None  # None: they were not asked for
    nodes: NodesSeen | None = None  # None: metrics were not asked for
    access: AccessSeen | None = None  # None: it was not asked for
    tasks: tuple[TaskSeen, ...] | None = None  # None: they were not asked for
    seconds: float = 0.0
