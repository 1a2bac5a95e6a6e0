"""A backup as values: its manifest, and the summary that a catalog lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kitestring.model.access import Privilege
from kitestring.model.collection import CollectionInfo, Index, Partition, Schema

MANIFEST_VERSION = 1
AHEAD = 60_000  # ms that the clocks of two hosts may disagree


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One immutable object in the pool of a backup store."""

    key: str  # below the store's pool
    source: str  # key relative to Milvus's root path, e.g. insert_log/1/2/3/100/4
    size: int  # bytes
    sha256: str  # hex


@dataclass(frozen=True, slots=True)
class RowDigest:
    """An order-independent digest of a set of rows (see `kitestring.model.digest`)."""

    rows: int
    keys: str  # hex, over the primary keys alone
    content: str  # hex, over every field of every row; empty: read keys only, see `read_back`


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """What the rows of a segment come to at every boundary from the backup's on: none of its rows
    and deletes is later. A later backup with the same objects need not read them again."""

    digest: RowDigest
    models: Mapping[str, int]  # embedding model label -> rows
    label: str = ""  # the field that the labels are of


@dataclass(frozen=True, slots=True)
class SegmentBackup:
    """A segment that was live at the boundary, and its objects by kind."""

    id: int
    partition_id: int
    rows: int  # as written: deletes not subtracted
    insert: tuple[StoredObject, ...]
    delta: tuple[StoredObject, ...]
    stats: tuple[StoredObject, ...] = ()
    settled: SegmentRows | None = None  # None: some of its rows or deletes may be later

    @property
    def objects(self) -> tuple[StoredObject, ...]:
        return self.insert + self.delta + self.stats


@dataclass(frozen=True, slots=True)
class RowsBackup:
    """One Parquet file of a logical backup, and which of its rows are in the backup.

    Files are never changed: a later backup takes a file over without the rows that are gone.
    """

    object: StoredObject  # `source` is `<collection>/<file name>`
    partition: str  # by name; empty: the server places the row
    rows: int  # in the backup: those that are gone not counted
    first_key: str | int | None = None  # smallest and largest key, where the file is sorted
    last_key: str | int | None = None
    index: StoredObject | None = None  # hashes of its rows: see `kitestring.backup.logical.index`
    gone: StoredObject | None = None  # positions of its rows that are not in the backup
    written: int = 0  # rows in the file

    @property
    def objects(self) -> tuple[StoredObject, ...]:
        return tuple(o for o in (self.object, self.index, self.gone) if o is not None)


@dataclass(frozen=True, slots=True)
class AccessBackup:
    """Users, roles and what they may do; passwords are not readable, and not in it."""

    users: Mapping[str, tuple[str, ...]]  # user -> roles
    roles: Mapping[str, tuple[Privilege, ...]]  # role -> privileges in the backup's database


@dataclass(frozen=True, slots=True)
class CollectionBackup:
    name: str
    id: int
    schema: Schema
    shards: int
    partitions: tuple[Partition, ...]
    consistency: str
    properties: Mapping[str, str]
    indexes: tuple[Index, ...]
    aliases: tuple[str, ...]
    loaded: bool
    replicas: int
    segments: tuple[SegmentBackup, ...]
    digest: RowDigest
    models: Mapping[str, int] = field(default_factory=dict)  # embedding model label -> rows
    deleted_keys: tuple[str, ...] = ()  # a sample of keys deleted before the boundary
    parts: tuple[RowsBackup, ...] = ()  # of a logical backup, which has no segments
    filter: str = ""  # `--where` of a logical backup: not all rows are in it
    read_by: str = ""  # of a logical backup: `segments` (rows exactly at the boundary) or `api`
    notes: tuple[str, ...] = ()  # what a reader of the backup has to know of it

    @classmethod
    def of(
        cls,
        info: CollectionInfo,
        segments: tuple[SegmentBackup, ...],
        digest: RowDigest,
        models: Mapping[str, int],
        deleted_keys: tuple[str, ...],
    ) -> CollectionBackup:
        """What the server says of a collection, with what was read of its rows."""
        return cls(
            name=info.name,
            id=info.id,
            schema=info.schema,
            shards=info.shards,
            partitions=info.partitions,
            consistency=info.consistency,
            properties=info.properties,
            indexes=tuple(state.index for state in info.indexes),
            aliases=info.aliases,
            loaded=info.loaded,
            replicas=info.replicas,
            segments=segments,
            digest=digest,
            models=models,
            deleted_keys=deleted_keys,
        )

    @property
    def objects(self) -> tuple[StoredObject, ...]:
        """Every object that a restore of the collection needs."""
        of_segments = tuple(o for segment in self.segments for o in segment.objects)
        return of_segments + tuple(o for part in self.parts for o in part.objects)


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """Everything needed to restore, and to know that a restore is right."""

    id: str  # sortable: <UTC time>-<6 hex>
    cluster: str
    method: str  # physical or logical
    created_at: int  # ms since the epoch, when the backup began
    finished_at: int  # ms since the epoch
    boundary: int  # ms since the epoch: every write acknowledged before it is in
    server_version: str
    tool_version: str
    collections: tuple[CollectionBackup, ...]
    excluded: tuple[str, ...] = ()  # what was left out, by name
    copied_bytes: int = 0  # bytes new to the pool
    reused_bytes: int = 0  # bytes that the pool already had
    database: str = "default"
    database_properties: Mapping[str, str] = field(default_factory=dict)
    access: AccessBackup | None = None  # None: could not be read; then `excluded` says so
    origin: str = ""  # the tool that made it, where it was imported
    read_back: str = ""  # physical: what was read out of the pool again: all, new or keys
    seconds: Mapping[str, float] = field(default_factory=dict)  # by phase of its making
    schema_version: int = MANIFEST_VERSION

    @property
    def rows(self) -> int:
        return sum(c.digest.rows for c in self.collections)

    @property
    def bytes(self) -> int:
        return sum({o.key: o.size for c in self.collections for o in c.objects}.values())


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """The few facts that a listing needs; read without reading the manifest."""

    id: str
    cluster: str
    method: str
    created_at: int
    boundary: int
    server_version: str
    collections: tuple[str, ...]
    rows: int
    bytes: int
    copied_bytes: int
    manifest_sha256: str
    verified_at: int | None = None  # ms since the epoch, newest verification that passed
    verified_tier: str = ""  # list, sample or full
    finished_at: int = 0  # ms since the epoch; 0 in summaries of older versions
    reused_bytes: int = 0
    marked_at: int | None = None  # ms since the epoch: to be removed once the grace period is over
    partial: tuple[str, ...] = ()  # collections of which it holds only some rows
    readable: bool = True  # False: the summary or manifest could not be read
    problem: str = ""
    sealed: str = ""  # age or kms; empty: by nothing of ours
    signed: str = ""  # id of the key that has signed the manifest
    signature: str = ""  # of what the summary claims (see `kitestring.backup.trust`)
    best_at: int | None = None  # ms since the epoch, last verification that proved more than
    best_tier: str = ""  # the newest one has; empty where the newest is the best

    @property
    def whole(self) -> tuple[str, ...]:
        """The collections of which it holds every row."""
        return tuple(c for c in self.collections if c not in self.partial)

    @property
    def proven_tier(self) -> str:
        """The most that a verification has ever proven; empty where none has passed."""
        return self.best_tier or self.verified_tier

    @property
    def reuse(self) -> float | None:
        """Share of its bytes that the pool had already; None for a backup without bytes."""
        total = self.copied_bytes + self.reused_bytes
        if not self.bytes or not total:
            return None
        return self.reused_bytes / total
