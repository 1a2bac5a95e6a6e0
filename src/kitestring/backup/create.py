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
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from kitestring import __version__
from kitestring.backup.catalog import Catalog, new_backup_id, open_catalog
from kitestring.backup.earlier import forget_damaged, look_back
from kitestring.backup.fetch import Fetch
from kitestring.backup.interrupts import stoppable
from kitestring.backup.job import (
    CANCELLED,
    FAILED,
    FLUSHING,
    PUBLISHING,
    Job,
    Leftover,
    leftovers,
)
from kitestring.backup.latency import guarded, search_probe
from kitestring.backup.lock import held
from kitestring.backup.plan import Before, SegmentsGoneError, check_clock, look, now, plan
from kitestring.backup.pool import Source
from kitestring.backup.surroundings import read_surroundings
from kitestring.backup.sweep import sweep
from kitestring.backup.wanted import label_of
from kitestring.backup.wanted import names_of as names_of
from kitestring.clients.milvus.protocol import Flushed, Milvus
from kitestring.clients.store.connect import check_store, open_segment_store
from kitestring.clients.store.protocol import ObjectStore
from kitestring.clients.store.retrying import sturdy
from kitestring.clients.store.throttle import Throttle, budgeted
from kitestring.errors import (
    BackupError,
    Interrupted,
    KitestringError,
    ObjectMissing,
)
from kitestring.model.backup import BackupManifest, CollectionBackup
from kitestring.spec.backup import Budget
from kitestring.spec.loaded import LoadedSpec

OnEvent = Callable[[str], None]
_TICK = 0.2  # seconds; the server's clock ticks every 50 ms
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
    spec = loaded.spec.backup
    if spec is not None:
        check_store(loaded, spec.store)
    limits = budget or (spec.budget if spec else Budget())
    throttle = Throttle(limits.max_bytes_per_second, limits.max_requests_per_second)
    limited = throttle if limits != Budget() else None
    # what the job says of itself does not wait for its turn
    pool = sturdy(budgeted(catalog.store, limited))
    catalog.store = sturdy(catalog.store)
    source = Source(sturdy(budgeted(store, limited)), root)
    how = "none" if not catalog.can_read else read_back or (spec.read_back if spec else "new")
    with stoppable(), held(catalog.store, "a backup") as lock:
        for line in catalog.sweep_partials():
            tell(line)
        dead = leftovers(catalog.store)
        started = datetime.now(UTC)
        job = Job(catalog.store, lock, new_backup_id(started), loaded.spec.cluster.name)
        run = _Run(loaded, milvus, catalog, source, pool, job, throttle, how, tell)
        try:
            manifest = run.make(names, excluded, dead, limits.max_search_latency)
            job.phase(PUBLISHING)
            catalog.publish(manifest, lock)
        except (KeyboardInterrupt, Interrupted) as error:
            job.fail(CANCELLED, getattr(error, "message", "") or "it was interrupted")
            raise
        except KitestringError as error:
            job.fail(FAILED, error.message)
            raise
        for line in sweep(catalog, manifest, job.planned, dead):
            tell(line)
        job.done()
    _tell_made(manifest, tell)
    return manifest


class _Run:
    """One backup, with the lock held."""

    def __init__(
        self,
        loaded: LoadedSpec,
        milvus: Milvus,
        catalog: Catalog,
        source: Source,
        pool: ObjectStore,
        job: Job,
        throttle: Throttle,
        read_back: str,
        tell: OnEvent,
    ) -> None:
        self.loaded, self.milvus, self.catalog = loaded, milvus, catalog
        self.source, self.pool, self.job, self.tell = source, pool, job, tell
        self.throttle, self.read_back = throttle, read_back
        self.cluster = loaded.spec.cluster.name

    def make(
        self,
        names: Sequence[str],
        excluded: Sequence[str],
        dead: Sequence[Leftover],
        max_latency: float | None,
    ) -> BackupManifest:
        infos = [self.milvus.describe(name) for name in names]
        probe = search_probe(self.milvus, infos) if max_latency is not None else None
        if max_latency is not None and probe is None:
            self.tell("no collection is loaded: there is no search whose latency could be seen")
        around = read_surroundings(self.milvus)
        earlier = look_back(self.catalog, self.cluster, {i.name: i.id for i in infos}, dead)
        sealed = self.catalog.sealed
        fetch = Fetch(
            self.source,
            self.pool,
            earlier,
            self.job,
            read_back=self.read_back,
            changed=sealed.changed_since_written if sealed else lambda _key: False,
            stop=self.throttle.stop,
        )
        with guarded(self.throttle, probe, max_latency, self.tell):
            boundary, done = self._tries(fetch, names)
        if boundary < earlier.newest_boundary:
            self.tell("the newest backup holds writes of later than this one: a clock was set back")
        known = earlier.known
        if self.read_back == "none":
            self.tell("nothing here opens what it seals: `backup verify` elsewhere has to prove it")
        sizes = {o.key: o.size for c in done for o in c.objects}
        copied = sum(size for key, size in known.copied.items() if key in sizes)
        forget_damaged(self.catalog.store, known.damaged & set(known.copied))
        self.job.phase(PUBLISHING)
        return BackupManifest(
            id=self.job.state.id,
            cluster=self.cluster,
            method="physical",
            created_at=self.job.state.started,
            finished_at=now(),
            boundary=boundary,
            server_version=self.milvus.version(),
            tool_version=__version__,
            collections=done,
            excluded=(*excluded, *around.left_out),
            copied_bytes=copied,
            reused_bytes=sum(sizes.values()) - copied,
            database=around.database,
            database_properties=around.properties,
            access=around.access,
            read_back=self._as_read(known.copied.keys() >= sizes.keys()),
            seconds={name: round(spent, 3) for name, spent in self.job.seconds.items()},
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
            label = label_of(self.loaded, one.info)
            done.append(fetch.collection(one, flushed.until, label))
        return flushed.until, tuple(done)

    def _flush(self, fetch: Fetch, before: dict[str, Before]) -> Flushed:
        """Flushes; what is sealed already is copied meanwhile."""
        self.tell(f"flushing {', '.join(before)}")
        sealed = [o for one in before.values() for o in one.sealed]
        self.job.phase(FLUSHING, "", len(sealed), sum(o.size for o in sealed))
        time.sleep(_TICK)  # so that what was acknowledged before we were called is in
        asked = now()
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
