"""Makes a backup by the physical method.

Why the boundary holds: the server answers a flush with the timestamp that it has given it, and
the flush is done once every channel's checkpoint has passed that timestamp, so each write with a
smaller one is in a segment's logs. Writes get their timestamps from the same clock before they
are acknowledged. The boundary is that timestamp in whole milliseconds, rounded down; rows and
deletes with a later one are left out when the backup is read or restored, and the segments are
those that the flush has named. Without that, an upsert that comes while the backup runs could take
its old row away (by a delta log, or by a compaction that drops it) and not be there itself.

Segments that were sealed before can't change: they are copied while the server flushes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from kitestring.backup.catalog import open_catalog
from kitestring.backup.earlier import forget_damaged, look_back
from kitestring.backup.fetch import Fetch
from kitestring.backup.job import FLUSHING, Job, Leftover
from kitestring.backup.plan import Before, SegmentsGoneError, before_flush, check_clock, look, plan
from kitestring.backup.pool import Source
from kitestring.backup.session import Session
from kitestring.backup.surroundings import read_surroundings
from kitestring.backup.wanted import label_of, names_of
from kitestring.clients.milvus.protocol import Flushed, Milvus
from kitestring.clients.store.connect import open_segment_store
from kitestring.errors import BackupError, ObjectMissing
from kitestring.model.backup import BackupManifest, CollectionBackup
from kitestring.spec.backup import Budget
from kitestring.spec.loaded import LoadedSpec

OnEvent = Callable[[str], None]
_TRIES = 3  # flushes, when segments are collected while they are copied


def create_backup(
    loaded: LoadedSpec,
    milvus: Milvus,
    *,
    collections: Sequence[str] | None = None,
    budget: Budget | None = None,
    read_back: str | None = None,
    on_event: OnEvent | None = None,
) -> BackupManifest:
    """Backs collections up: those named, or else all of the spec.

    A run that fails or is killed leaves no backup in the catalog and blocks nothing; the next one
    takes over what it has copied.

    Args:
        budget: instead of the spec's.
        read_back: all, new or keys, instead of the spec's.

    Raises:
        BackupRefused: a precondition does not hold; no backup was made.
        BackupBusy: another backup runs.
        Interrupted: it was cancelled.
        StoreFull, StoreUnreachable, BackupError, SegmentUnreadable, MilvusError.
    """
    tell = on_event or (lambda _line: None)
    catalog = open_catalog(loaded)
    catalog.prepare(loaded.spec.cluster.name)
    store, root = open_segment_store(loaded)
    names, excluded = names_of(loaded, milvus, collections)
    session = Session(loaded, catalog, budget)
    source = Source(session.within(store), root)
    spec = loaded.spec.backup
    how = "none" if not catalog.can_read else read_back or (spec.read_back if spec else "new")

    def make(job: Job, dead: Sequence[Leftover]) -> BackupManifest:
        return _Run(loaded, milvus, session, source, job, how, tell).make(names, excluded, dead)

    manifest = session.run(make, tell)
    _tell_made(manifest, tell)
    return manifest


class _Run:
    """One backup, with the lock held."""

    def __init__(
        self,
        loaded: LoadedSpec,
        milvus: Milvus,
        session: Session,
        source: Source,
        job: Job,
        read_back: str,
        tell: OnEvent,
    ) -> None:
        self.loaded, self.milvus, self.session = loaded, milvus, session
        self.source, self.job, self.tell = source, job, tell
        self.catalog, self.throttle, self.read_back = session.catalog, session.throttle, read_back
        self.cluster = session.cluster

    def make(
        self, names: Sequence[str], excluded: Sequence[str], dead: Sequence[Leftover]
    ) -> BackupManifest:
        infos = [self.milvus.describe(name) for name in names]
        around = read_surroundings(self.milvus)
        earlier = look_back(self.catalog, self.cluster, {i.name: i.id for i in infos}, dead)
        sealed = self.catalog.sealed
        fetch = Fetch(
            self.source,
            self.session.pool,
            earlier,
            self.job,
            read_back=self.read_back,
            changed=sealed.changed_since_written if sealed else lambda _key: False,
            stop=self.throttle.stop,
        )
        with self.session.guarded(self.milvus, infos, self.tell):
            boundary, done = self._tries(fetch, names)
        if boundary < earlier.newest_boundary:
            self.tell("the newest backup holds writes of later than this one: a clock was set back")
        known = earlier.known
        if self.read_back == "none":
            self.tell("nothing here opens what it seals: `backup verify` elsewhere has to prove it")
        forget_damaged(self.catalog.store, known.damaged & set(known.copied))
        needed = {o.key for c in done for o in c.objects}
        return self.session.manifest(
            self.job,
            self.milvus,
            around,
            method="physical",
            boundary=boundary,
            collections=done,
            excluded=excluded,
            written=known.copied,
            read_back=self._as_read(known.copied.keys() >= needed),
        )

    def _as_read(self, all_new: bool) -> str:
        return "all" if all_new and self.read_back == "new" else self.read_back

    def _tries(
        self, fetch: Fetch, names: Sequence[str]
    ) -> tuple[int, tuple[CollectionBackup, ...]]:
        for _ in range(_TRIES):
            self.throttle.restart()
            try:
                return self._attempt(fetch, names)
            except (ObjectMissing, SegmentsGoneError) as error:
                self.tell(f"segments were collected meanwhile ({error}); flushing again")
        raise BackupError(
            "the server kept removing segments while they were copied",
            hint="raise `dataCoord.gc.dropTolerance` of the server: hours, not seconds",
        )

    def _attempt(
        self, fetch: Fetch, names: Sequence[str]
    ) -> tuple[int, tuple[CollectionBackup, ...]]:
        before = {name: look(self.milvus, self.source, name) for name in names}
        flushed = self._flush(fetch, before)
        # all plans before the next copy: files of replaced segments are not kept for ever
        plans = [
            plan(self.milvus, self.source, before[n], flushed.segments[n], flushed.until)
            for n in names
        ]
        done = []
        for one in plans:
            self.tell(f"{one.info.name}: {len(one.segments)} segments, {len(one.objects)} objects")
            label = label_of(self.loaded, one.info.name, one.info.schema)
            done.append(fetch.collection(one, flushed.until, label))
        return flushed.until, tuple(done)

    def _flush(self, fetch: Fetch, before: dict[str, Before]) -> Flushed:
        """Flushes; what is sealed already is copied meanwhile."""
        self.tell(f"flushing {', '.join(before)}")
        sealed = [o for one in before.values() for o in one.sealed]
        self.job.phase(FLUSHING, "", len(sealed), sum(o.size for o in sealed))
        asked = before_flush()
        flush = _Later(lambda: self.milvus.flush_through(list(before)))
        # the plans are to be made as soon as it is done: files of dead segments are removed
        fetch.take(sealed, missing_ok=True, enough=lambda: flush.wait(0))
        while not flush.wait(0.2):
            self.job.beat()
        flushed = flush.result()
        check_clock(flushed, asked)
        return flushed


class _Later:
    """A call in a thread that nobody has to wait for."""

    def __init__(self, call: Callable[[], Flushed]) -> None:
        self._found: list[Flushed | BaseException] = []

        def work() -> None:
            try:
                self._found.append(call())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                self._found.append(error)

        self._thread = threading.Thread(target=work, name="flush", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Flushed:
        found = self._found[0]
        if isinstance(found, BaseException):
            raise found
        return found


def _tell_made(manifest: BackupManifest, tell: OnEvent) -> None:
    tell(
        f"{manifest.id}: {manifest.rows:,} rows, {manifest.copied_bytes:,} bytes copied, "
        f"{manifest.reused_bytes:,} reused"
    )
