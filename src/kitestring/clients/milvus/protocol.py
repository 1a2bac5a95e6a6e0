"""What the other rooms may ask of a Milvus server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kitestring.model.access import Privilege
from kitestring.model.collection import (
    CollectionInfo,
    Field,
    Index,
    LoadedSegment,
    Partition,
    ResourceGroup,
    Schema,
    Segment,
)

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer of a search. `score` is the server's: larger is nearer but for L2."""

    key: str | int
    score: float
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImportState:
    """How far a bulk import has come. Rows are visible only once it is `done`."""

    done: bool
    failed: bool
    rows: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a flush came to.

    Each write whose timestamp is at most `until << 18` (`until` is ms since the epoch by the
    server's clock) is on disk, in the segments named or their delta logs. Compaction may replace
    those segments at any time, by ones from which later deletes have taken rows.
    """

    until: int
    segments: Mapping[str, tuple[int, ...]]  # collection -> segment ids


class MilvusAdmin(Protocol):
    """Databases, partitions, users, roles and privileges; raises as `Milvus` does.

    Privileges are those in the database of the connection.
    """

    def list_databases(self) -> list[str]: ...
    def database_properties(self, name: str) -> dict[str, str] | None: ...
    def create_database(self, name: str, properties: Mapping[str, str] | None = None) -> None: ...
    def alter_database(self, name: str, properties: Mapping[str, str]) -> None: ...
    def drop_database(self, name: str) -> None: ...
    def create_partition(self, collection: str, partition: str) -> None: ...
    def drop_partition(self, collection: str, partition: str) -> None: ...
    def partition_rows(self, collection: str, partition: str) -> int: ...
    def add_field(self, collection: str, field: Field) -> None:
        """Adds a field to a collection, whose rows have no value of it. From 2.6 on; earlier ones
        refuse, and the error says what version they are."""
        ...

    def alter_collection(self, name: str, properties: Mapping[str, str]) -> None: ...
    def drop_properties(self, name: str, keys: Sequence[str]) -> None: ...
    def list_users(self) -> list[str]: ...
    def create_user(self, name: str, password: str) -> None: ...
    def change_password(self, name: str, old: str, new: str) -> None: ...
    def drop_user(self, name: str) -> None: ...
    def roles_of(self, user: str) -> tuple[str, ...] | None: ...
    def give_role(self, user: str, role: str) -> None: ...
    def take_role(self, user: str, role: str) -> None: ...
    def list_roles(self) -> list[str]: ...
    def create_role(self, name: str) -> None: ...
    def drop_role(self, name: str) -> None: ...
    def privileges(self, role: str, *, database: str | None = None) -> frozenset[Privilege]:
        """What a role may do in a database; None for the connection's."""
        ...

    def grant(self, role: str, privilege: Privilege) -> None: ...
    def revoke(self, role: str, privilege: Privilege) -> None: ...


class MilvusGroups(Protocol):
    """Resource groups: query nodes that only what is loaded into the group uses.

    Raises as `Milvus` does. Nodes come from the server's default group and go back to it.
    """

    def all(self) -> tuple[ResourceGroup, ...]:
        """Every group, the default one too."""
        ...

    def create(self, name: str, nodes: int) -> None:
        """Nothing is left behind where it can't have so many nodes."""
        ...

    def resize(self, name: str, nodes: int) -> None: ...
    def drop(self, name: str) -> None:
        """Its nodes go back. The server refuses while replicas are loaded into it."""
        ...

    def collections(self, name: str) -> dict[str, int]:
        """Loaded collections of every database -> replicas in the group."""
        ...

    def move_replicas(self, collection: str, source: str, target: str, count: int) -> None:
        """Moves replicas without releasing the collection; they answer once they are loaded
        there. The server refuses where a replica would share a node with another one."""
        ...


class MilvusColumnar(Protocol):
    """Rows by column, in one answer or request; raises as `Milvus` does. For several threads.

    Batches are of `kitestring.model.arrow.arrow_schema`, with its columns or some of them.
    """

    def page(
        self,
        name: str,
        schema: Schema,
        columns: Sequence[str],
        expression: str,
        *,
        partition: str = "",
        limit: int | None = None,
        since: int | None = None,
    ) -> pa.RecordBatch:
        """The rows that match, or the `limit` ones of them with the smallest keys, in their order.

        `since` (ms since the epoch, by the server's clock): every write up to it is seen, and
        later ones may be. Without it, every write that was acknowledged before the call is; which
        takes the time of a tick.
        """
        ...

    def insert(
        self, name: str, schema: Schema, batch: pa.RecordBatch, *, partition: str = ""
    ) -> int:
        """Inserts rows, those with keys that are there already too; returns how many."""
        ...

    def upsert(
        self, name: str, schema: Schema, batch: pa.RecordBatch, *, partition: str = ""
    ) -> None:
        """Writes rows in place of every row of their keys; returns once that is acknowledged."""
        ...


class Milvus(Protocol):
    """A connection to one database of one server.

    Every method raises a subclass of `kitestring.errors.MilvusError`: ServerUnreachable,
    AuthenticationFailed, PermissionDenied, CollectionNotFound, CollectionNotLoaded or, for what
    else the server says, MilvusError itself.
    """

    uri: str

    @property
    def groups(self) -> MilvusGroups: ...
    @property
    def admin(self) -> MilvusAdmin: ...
    @property
    def columnar(self) -> MilvusColumnar: ...
    def version(self) -> str: ...
    def close(self) -> None: ...

    # --- what is
    def list_collections(self) -> list[str]: ...
    def has_collection(self, name: str) -> bool: ...
    def describe(self, name: str) -> CollectionInfo: ...
    def segments(self, name: str) -> list[Segment]:
        """The segments that the server keeps on disk: those compacted away are not among them."""
        ...

    def loaded_segments(self, name: str) -> list[LoadedSegment]: ...
    def count(
        self, name: str, *, filter: str = "", partitions: Sequence[str] = (), strong: bool = True
    ) -> int:
        """Rows without the deleted ones, by `count(*)`; each of several rows of one key counts.

        At strong consistency that takes some 0.2 s, the time of a tick; without it a few ms, and
        the answer is of what the query nodes have got so far.
        """
        ...

    # --- definitions
    def create_collection(
        self,
        name: str,
        schema: Schema,
        *,
        shards: int = 1,
        properties: Mapping[str, str] | None = None,
        partitions: Sequence[Partition | str] = (),
        key_partitions: int | None = None,
        consistency: str = "Bounded",
    ) -> None:
        """`key_partitions`: how many the server makes for a partition key; None for its default."""
        ...

    def drop_collection(self, name: str) -> None: ...
    def rename_collection(self, name: str, new: str) -> None: ...
    def create_index(self, name: str, index: Index, *, wait: bool = False) -> None: ...
    def drop_index(self, name: str, index_name: str) -> None: ...
    def load(
        self, name: str, *, replicas: int = 1, groups: Sequence[str] = (), wait: bool = True
    ) -> None:
        """`groups`: resource groups, one for all replicas or one for each; none for the default."""
        ...

    def release(self, name: str) -> None: ...
    def create_alias(self, name: str, alias: str) -> None: ...
    def move_alias(self, name: str, alias: str) -> None: ...
    def drop_alias(self, alias: str) -> None: ...
    def alias_owner(self, alias: str) -> str | None: ...

    # --- rows
    def upsert(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None: ...
    def insert(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None: ...
    def delete(self, name: str, keys: Sequence[str | int]) -> None: ...
    def flush(self, name: str) -> None:
        """Seals and writes every row acknowledged so far; returns when that is done."""
        ...

    def flush_through(self, names: Sequence[str]) -> Flushed:
        """Flushes collections and says what then holds all their rows (see `Flushed`).

        A write that was acknowledged more than a tick of the server's clock (50 ms) before the
        call is in.
        """
        ...

    def settings(self) -> Mapping[str, Mapping[str, str]]:
        """Settings of milvus.yaml by their dotted names, then process -> value: the few that the
        server tells.

        Raises:
            MilvusError: it tells none, or in a form that is not known.
        """
        ...

    def flushed_until(self, name: str, now: int, *, search: bool = True) -> int | None:
        """Up to when every write is in the files, ms since the epoch; `now` at most. It is asked
        for and nothing is flushed. None where the server does not say, and without `search`, which
        takes some 20 requests, where it is not `now`."""
        ...

    def scan(
        self,
        name: str,
        columns: Sequence[str],
        *,
        filter: str = "",
        partitions: Sequence[str] = (),
        batch_rows: int = 8192,
        strong: bool = True,
    ) -> Iterator[pa.RecordBatch]:
        """All rows in the order of their keys, decoded by column. Several threads may scan.

        Without `strong` the answers are of what the query nodes have got so far, and do not wait
        for a tick of the server's clock. `columns` may hold `$meta`. The schema is
        `kitestring.model.arrow.arrow_schema`'s. The server removes duplicate keys from what it
        answers: compare with `count`.

        Raises:
            RowsHidden: after the last batch, see `check_all_given`.
        """
        ...

    def check_all_given(
        self, name: str, key: str, *, filter: str = "", partitions: Sequence[str] = ()
    ) -> None:
        """Finds the row that a server may keep back from every query: 2.3 does that to the
        largest INT64 `key`.

        Raises:
            RowsHidden: there is one that passes the filter.
        """
        ...

    def get(
        self, name: str, keys: Sequence[str | int], columns: Sequence[str]
    ) -> list[dict[str, Any]]: ...

    def search(
        self,
        name: str,
        vectors: Sequence[Any],
        *,
        limit: int,
        field: str,
        params: Mapping[str, Any] | None = None,
        columns: Sequence[str] = (),
        filter: str = "",
        strong: bool = True,
    ) -> list[list[Hit]]:
        """The nearest rows of each vector: its numbers, bytes where they are not float32, or a
        mapping from index to value; or of each text, where the server makes the field of texts.

        `strong`: of every row acknowledged so far, which takes the time of a tick.
        """
        ...

    # --- maintenance
    def compact(self, name: str) -> int:
        """Starts a compaction and returns its id."""
        ...

    def compaction_done(self, compaction: int) -> bool: ...
    def start_import(
        self, name: str, partition: str, paths: Sequence[str], *, until: int | None = None
    ) -> int:
        """Starts a bulk import of a backed-up segment: `[insert prefix, delta prefix]`.

        Rows and deletes after `until` (ms since the epoch) are left out.
        """
        ...

    def import_state(self, task: int) -> ImportState: ...
