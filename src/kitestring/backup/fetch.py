"""Copies a planned collection into the pool, and reads it back while the rest is being copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from kitestring.backup.census import CensusTaker, deleted_candidates, rows_and_latest
from kitestring.backup.earlier import Earlier, ReadBefore
from kitestring.backup.job import COPYING, READING, Job
from kitestring.backup.late import Placed
from kitestring.backup.plan import Plan
from kitestring.backup.pool import PoolReader, Source, repairer
from kitestring.backup.take import take_all
from kitestring.clients.store.protocol import ObjectInfo, ObjectStore
from kitestring.errors import BackupDamaged
from kitestring.model.backup import CollectionBackup, SegmentBackup, StoredObject
from kitestring.segments.layout import backed_up_files

_WAIT = 0.5  # seconds between two signs of life
_READERS = 2  # segments that are read back at a time: a log of vectors of each is in memory


class Fetch:
    """Brings collections into the pool.

    Args:
        read_back: all, new or keys (see `kitestring.spec.backup.Backup`), or none on a host that
            can seal objects and not open them: then rows are read from the cluster.
        changed: whether the store has other bytes than were sent to it, where that can be told
            without a key.
        stop: ends the waits of a throttle.
    """

    def __init__(
        self,
        source: Source,
        store: ObjectStore,
        earlier: Earlier,
        job: Job,
        *,
        read_back: str,
        changed: Callable[[str], bool] = lambda key: False,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        self.source, self._store, self._changed = source, store, changed
        self.earlier, self.job = earlier, job
        self.read_back, self._stop = read_back, stop

    def take(
        self,
        objects: Iterable[ObjectInfo],
        *,
        on_done: Callable[[StoredObject], None] = lambda stored: None,
        missing_ok: bool = False,
        enough: Callable[[], bool] = lambda: False,
    ) -> dict[str, StoredObject]:
        """Objects into the pool, by source key (see `take_all`)."""
        return take_all(
            self.source, self._store, objects, self.earlier.known, self.job,
            on_done=on_done, stop=self._stop, missing_ok=missing_ok, enough=enough,
        )  # fmt: skip

    def reader(self, objects: Iterable[StoredObject]) -> PoolReader:
        """Reads objects of the pool, and mends them where they are not what was copied."""
        if self.read_back == "none":

            def read(stored: StoredObject) -> bytes:
                return self.source.store.get(self.source.key(stored.source))

            return PoolReader(self._store, objects, read=read)
        return PoolReader(self._store, objects, repair=repairer(self.source, self._store))

    def read_rest(self, reader: PoolReader, objects: Iterable[StoredObject]) -> None:
        """Reads what nobody has read yet of what is to be read back."""
        if self.read_back == "all":
            reader.rest()
        elif self.read_back == "new":
            copied = self.earlier.known.copied
            reader.rest({o.source for o in objects if o.key in copied})
        elif self.read_back == "none":
            for stored in objects:
                if self._changed(stored.key):
                    raise BackupDamaged(
                        f"the object {stored.key} is not what was written", subject=stored.key
                    )

    def collection(self, plan: Plan, boundary: int, label: str | None) -> CollectionBackup:
        """One collection: every object in the pool, and its rows read.

        Raises:
            ObjectMissing: a segment was collected; BackupError, SegmentUnreadable, StoreError.
        """
        info = plan.info
        objects = plan.objects
        self.job.phase(COPYING, info.name, len(objects), sum(o.size for o in objects))
        stored = self.take(o for p in plan.segments for o in p.files.delta)
        one = _OneCollection(self, plan, boundary, label, stored)
        with ThreadPoolExecutor(_READERS, "read-back") as readers:
            try:
                segments = one.run(readers)
            except BaseException:
                self._stop()
                readers.shutdown(wait=True, cancel_futures=True)
                raise
        census = one.taker.result(segments)
        return CollectionBackup.of(
            info, census.segments, census.digest, census.models, census.deleted_keys
        )


class _OneCollection:
    """The segments of one collection on their way: copied, then read."""

    def __init__(
        self,
        fetch: Fetch,
        plan: Plan,
        boundary: int,
        label: str | None,
        deltas: Mapping[str, StoredObject],
    ) -> None:
        self._fetch, self._plan, self._label, self._boundary = fetch, plan, label, boundary
        self._stored = dict(deltas)
        self._content = fetch.read_back != "keys"
        self._key = fetch.source.relative
        self._owner = {self._key(o.key): p for p in plan.segments for o in p.files.all()}
        self._left = {
            p.ref.segment: {self._key(o.key) for o in p.files.all()} - set(deltas)
            for p in plan.segments
        }
        self._level_zero = [self._backup(p, 0) for p in plan.segments if not p.files.insert]
        self.taker = CensusTaker(
            plan.info.id, plan.info.schema, boundary=boundary, label=label,
            content=self._content, deleted=self._deleted(boundary), level_zero=self._level_zero,
            ahead=False,
        )  # fmt: skip

    def _deleted(self, boundary: int) -> list[str | int]:
        """Keys that may be deleted at the boundary. Those deleted before an earlier backup, and
        not there then, can only have come back in segments that are read now."""
        kept = [b for p in self._plan.segments if (b := self._before(p)) is not None]
        numbers = self._plan.info.schema.primary.type not in ("VARCHAR", "STRING")
        earlier = self._fetch.earlier.deleted.get(self._plan.info.id, ()) if kept else ()
        changed = [
            self._stored[self._key(o.key)]
            for p in self._plan.segments if self._before(p) is None for o in p.files.delta
        ]  # fmt: skip
        found = deleted_candidates(
            self._fetch.reader(changed),
            [o.source for o in changed],
            until=boundary << 18,
            since=min(b.boundary for b in kept) << 18 if kept else -1,
        )
        return list(dict.fromkeys([*(int(k) if numbers else k for k in earlier), *found]))

    def _before(self, placed: Placed) -> ReadBefore | None:
        """The segment as an earlier backup has read it, where it need not be read again."""
        found = self._fetch.earlier.segments.get((placed.ref.collection, placed.ref.segment))
        if self._fetch.read_back == "all" or found is None or found.segment.settled is None:
            return None
        if found.boundary > self._boundary:  # a clock was set back: some rows may be later
            return None
        settled = found.segment.settled
        files = {self._key(o.key): o.size for o in placed.files.all()}
        same = files == {o.source: o.size for o in found.segment.objects}
        enough = bool(settled.digest.content) or not self._content
        return found if same and enough and settled.label == (self._label or "") else None

    def run(self, readers: ThreadPoolExecutor) -> list[SegmentBackup]:
        running: dict[int, Future[SegmentBackup]] = {}
        failed: list[BaseException] = []

        def read(placed: Placed) -> None:
            future = readers.submit(self._read, placed)
            future.add_done_callback(note_failure)
            running[placed.ref.segment] = future

        def note_failure(future: Future[SegmentBackup]) -> None:
            if not future.cancelled() and (error := future.exception()) is not None:
                failed.append(error)

        def on_done(stored: StoredObject) -> None:
            self._stored[stored.source] = stored
            placed = self._owner[stored.source]
            left = self._left[placed.ref.segment]
            left.discard(stored.source)
            if not left:
                read(placed)
            if failed:  # what went wrong is not found out at the end
                raise failed[0]

        for placed in self._plan.segments:
            if not self._left[placed.ref.segment]:
                read(placed)
        wanted = [o for o in self._plan.objects if self._key(o.key) not in self._stored]
        self._fetch.take(wanted, on_done=on_done)
        self._fetch.job.phase(READING, self._plan.info.name)
        futures = [running[p.ref.segment] for p in self._plan.segments]
        while not failed and wait(futures, _WAIT, return_when=FIRST_EXCEPTION).not_done:
            self._fetch.job.beat()
        if failed:
            raise failed[0]
        return [future.result() for future in futures]

    def _read(self, placed: Placed) -> SegmentBackup:
        ref, before = placed.ref, self._before(placed)
        rows = self._plan.rows.get(ref.segment)
        if rows is None and before is not None:
            rows = before.segment.rows
        segment = self._backup(placed, rows or 0)
        shared = [o for s in self._level_zero for o in s.delta]
        reader = self._fetch.reader([*segment.objects, *shared])
        if rows is None:  # late, or replaced before the server was asked how many it has
            files = backed_up_files(segment, ref.collection)
            segment = replace(segment, rows=rows_and_latest(reader, files, ref)[0])
        if before is not None and before.segment.settled is not None:
            settled, earlier = before.segment.settled, before.segment
            if (segment.rows, set(segment.objects)) == (earlier.rows, set(earlier.objects)):
                self.taker.add(settled)
                return replace(segment, settled=settled)
        segment = self.taker.read(reader, segment)
        self._fetch.read_rest(reader, segment.objects)
        return segment

    def _backup(self, placed: Placed, rows: int) -> SegmentBackup:
        def of(infos: Iterable[ObjectInfo]) -> tuple[StoredObject, ...]:
            return tuple(self._stored[self._key(o.key)] for o in infos)

        return SegmentBackup(
            id=placed.ref.segment,
            partition_id=placed.ref.partition,
            rows=rows,
            insert=of(o for logs in placed.files.insert.values() for o in logs),
            delta=of(placed.files.delta),
            stats=of(placed.files.stats),
        )
