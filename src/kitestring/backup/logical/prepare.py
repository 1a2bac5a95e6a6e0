"""Where the rows of a logical backup come from: segment files where that can be, else the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kitestring.backup.logical.from_api import FromApi
from kitestring.backup.logical.from_segments import FromSegments
from kitestring.backup.logical.part import Part
from kitestring.backup.logical.source import Contract, Source, contract_of
from kitestring.backup.logical.where import Filter
from kitestring.backup.plan import Before, SegmentsGoneError, before_flush, check_clock, look, plan
from kitestring.backup.pool import Source as Stored
from kitestring.backup.session import Session
from kitestring.clients.milvus.protocol import Flushed, Milvus
from kitestring.clients.store.connect import open_segment_store
from kitestring.errors import (
    BackupRefused,
    KitestringError,
    LocalNotRunning,
    MilvusError,
    ServerUnreachable,
    StoreError,
)
from kitestring.model.collection import CollectionInfo
from kitestring.segments.plan import plan_files
from kitestring.spec.loaded import LoadedSpec

AUTO, SEGMENTS, API = "auto", "segments", "api"


@dataclass(frozen=True, slots=True)
class Ready:
    """A collection, and where its rows come from."""

    info: CollectionInfo
    contract: Contract
    source: Source
    notes: tuple[str, ...]


class Preparation:
    """The steps before the first row is read. With `read_by` SEGMENTS nothing else is taken."""

    def __init__(
        self,
        loaded: LoadedSpec,
        milvus: Milvus,
        session: Session,
        part: Part,
        read_by: str,
        tell: Callable[[str], None],
    ) -> None:
        self.loaded, self.milvus, self.session = loaded, milvus, session
        self.part, self.read_by, self.tell = part, read_by, tell

    def stored(self) -> tuple[Stored | None, str]:
        """The cluster's own store; None and why not where rows are to come over the API."""
        if self.read_by == API:
            return None, "as asked for"
        try:
            store, root = open_segment_store(self.loaded)
            stored = Stored(self.session.within(store), root)
            next(iter(stored.store.list(stored.key("insert_log/"))), None)
        except (StoreError, LocalNotRunning) as error:
            if self.read_by == SEGMENTS:
                raise
            return None, error.message
        return stored, ""

    def look(self, stored: Stored, name: str) -> Before | str:
        try:
            return look(self.milvus, stored, name)
        except BackupRefused as error:
            if self.read_by == SEGMENTS:
                raise
            return error.message

    def flush(self, names: Sequence[str]) -> tuple[int, Flushed | None]:
        self.tell(f"flushing {', '.join(names)}")
        asked = before_flush()
        try:
            flushed = self.milvus.flush_through(list(names))
        except ServerUnreachable:
            raise
        except MilvusError as error:
            if self.read_by == SEGMENTS:
                raise
            self.tell(f"the server does not flush ({error.message}): rows are read over the API")
            return asked, None
        check_clock(flushed, asked)
        return flushed.until, flushed

    def ready(
        self,
        info: CollectionInfo,
        where: Filter | None,
        stored: Stored | None,
        before: Before | str,
        flushed: Flushed | None,
    ) -> Ready:
        contract = contract_of(self.loaded, info.name, info.schema)
        why = before if isinstance(before, str) else ""
        if stored is not None and isinstance(before, Before) and flushed is not None:
            try:
                source = self._segments(info, where, contract, stored, before, flushed)
                return Ready(info, contract, source, ())
            except (SegmentsGoneError, KitestringError) as error:
                if self.read_by == SEGMENTS:
                    raise
                why = str(error)
        if not info.loaded:
            raise BackupRefused(
                f"`{info.name}` can't be read over the API: it is not loaded",
                hint=f"load it, or let its segment files be read ({why or 'not reachable'})",
                subject=info.name,
            )
        if info.schema.primary.type == "INT64":
            self.milvus.check_all_given(
                info.name,
                info.schema.primary.name,
                filter=where.as_milvus() if where else "",
                partitions=self.part.partitions,
            )
        source = FromApi(
            self.milvus, info, flushed.until if flushed else None, contract, where,
            self.part.partitions or None,
        )  # fmt: skip
        notes = (
            f"read over the API ({why or 'the server does not flush'}): every write before the "
            "boundary is in; of later ones some may be",
        )
        return Ready(info, contract, source, notes)

    def _segments(
        self,
        info: CollectionInfo,
        where: Filter | None,
        contract: Contract,
        stored: Stored,
        before: Before,
        flushed: Flushed,
    ) -> Source:
        planned = plan(self.milvus, stored, before, flushed.segments[info.name], flushed.until)
        wanted = {p.id for p in info.partitions if p.name in self.part.partitions}
        files = {
            placed.ref: placed.files
            for placed in planned.segments
            if not wanted or placed.ref.partition in wanted
        }
        parts = plan_files(info.schema, files, planned.rows, flushed.until << 18)
        return FromSegments(stored.store, info, parts, contract, where)
