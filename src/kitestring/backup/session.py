"""What every run of `backup create` shares, whatever the method: stores, budget, lock, job, end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from kitestring import __version__
from kitestring.backup.catalog import Catalog
from kitestring.backup.documents import new_backup_id
from kitestring.backup.interrupts import stoppable
from kitestring.backup.job import CANCELLED, FAILED, PUBLISHING, Job, Leftover, leftovers
from kitestring.backup.latency import guarded, search_probe
from kitestring.backup.lock import held
from kitestring.backup.plan import now
from kitestring.backup.surroundings import Surroundings
from kitestring.backup.sweep import sweep
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.store.connect import check_store
from kitestring.clients.store.protocol import ObjectStore
from kitestring.clients.store.retrying import sturdy
from kitestring.clients.store.throttle import Throttle, budgeted
from kitestring.errors import Interrupted, KitestringError
from kitestring.model.backup import BackupManifest, CollectionBackup
from kitestring.model.collection import CollectionInfo
from kitestring.spec.backup import Budget
from kitestring.spec.loaded import LoadedSpec

OnEvent = Callable[[str], None]
Make = Callable[[Job, Sequence[Leftover]], BackupManifest]
"""Makes the backup of a job; the leftovers are those of jobs that died."""


class Session:
    """One run: `pool` is the catalog's store within the budget. What the job says of itself, the
    lock and the manifest do not wait for their turn: they go by the catalog's own.

    Args:
        budget: None for the spec's.

    Raises:
        StoreUnfit: the bucket is not what the spec says of it.
    """

    def __init__(self, loaded: LoadedSpec, catalog: Catalog, budget: Budget | None) -> None:
        spec = loaded.spec.backup
        if spec is not None:
            check_store(loaded, spec.store)
        self.cluster, self.catalog = loaded.spec.cluster.name, catalog
        self.limits = budget or (spec.budget if spec else Budget())
        self.throttle = Throttle(
            self.limits.max_bytes_per_second, self.limits.max_requests_per_second
        )
        self.pool = self.within(catalog.store)
        catalog.use(sturdy(catalog.store))

    def within(self, store: ObjectStore) -> ObjectStore:
        """The store within the budget of this run, which all of them share."""
        return sturdy(budgeted(store, self.throttle if self.limits != Budget() else None))

    @contextmanager
    def guarded(
        self, milvus: Milvus, infos: Sequence[CollectionInfo], tell: OnEvent
    ) -> Iterator[None]:
        """Within it, copying pauses while searches take longer than the budget allows."""
        limit = self.limits.max_search_latency
        probe = search_probe(milvus, infos) if limit is not None else None
        if limit is not None and probe is None:
            tell("no collection is loaded: there is no search whose latency could be seen")
        with guarded(self.throttle, probe, limit, tell):
            yield

    def run(self, make: Make, tell: OnEvent) -> BackupManifest:
        """Takes the lock, has the backup made, publishes it, and sweeps what nobody needs.

        Raises:
            BackupBusy: another backup runs.
            Interrupted: it was cancelled.
        """
        catalog = self.catalog
        with stoppable(), held(catalog.store, "a backup") as lock:
            for line in catalog.sweep_partials():
                tell(line)
            dead = leftovers(catalog.store)
            job = Job(catalog.store, lock, new_backup_id(datetime.now(UTC)), self.cluster)
            try:
                manifest = make(job, dead)
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
        return manifest

    def manifest(
        self,
        job: Job,
        milvus: Milvus,
        around: Surroundings,
        *,
        method: str,
        boundary: int,
        collections: tuple[CollectionBackup, ...],
        excluded: Sequence[str],
        written: Mapping[str, int],
        read_back: str,
    ) -> BackupManifest:
        """The manifest of what was made.

        Args:
            written: key -> size of the objects that are new in the pool; those that the backup
                does not need in the end do not count.
        """
        job.phase(PUBLISHING)
        sizes = {o.key: o.size for c in collections for o in c.objects}
        copied = sum(size for key, size in written.items() if key in sizes)
        return BackupManifest(
            id=job.state.id,
            cluster=self.cluster,
            method=method,
            created_at=job.state.started,
            finished_at=now(),
            boundary=boundary,
            server_version=milvus.version(),
            tool_version=__version__,
            collections=collections,
            excluded=(*excluded, *around.left_out),
            copied_bytes=copied,
            reused_bytes=sum(sizes.values()) - copied,
            database=around.database,
            database_properties=around.properties,
            access=around.access,
            read_back=read_back,
            seconds={name: round(spent, 3) for name, spent in job.seconds.items()},
        )
