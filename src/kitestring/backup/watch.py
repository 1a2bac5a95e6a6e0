"""Looks at a running backup from outside, and stops it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from kitestring.backup.catalog import Catalog
from kitestring.backup.job import JobState, ask_to_stop, job_ids, read_state
from kitestring.backup.lock import LENGTH
from kitestring.clients.lease import owner_lives
from kitestring.errors import BackupError, BackupNotFound

RUNNING, DONE, DIED, NONE = "running", "done", "died", "none"
_GRACE = 60.0  # seconds that a job has to stop


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of a job. `status` is RUNNING, DONE, DIED, NONE, or a job's own outcome:
    failed or cancelled."""

    status: str
    job: JobState | None = None

    @property
    def over(self) -> bool:
        return self.status != RUNNING

    @property
    def exit_code(self) -> int:
        return 0 if self.status in (RUNNING, DONE, NONE) else 1


def sight(catalog: Catalog, *, after: JobState | None = None) -> Sight:
    """The newest job of a store.

    Args:
        after: what was seen before: it is this job that is looked for.
    """
    store = catalog.store
    ids = [after.id] if after is not None else job_ids(store)[::-1]
    for id_ in ids:
        state = read_state(store, id_)
        if state is None:
            continue
        silent = max(0.0, time.time() - state.updated / 1000)
        if state.outcome:
            return Sight(state.outcome, state)
        alive = owner_lives(state.owner, silent=silent, expires=LENGTH)
        return Sight(RUNNING if alive else DIED, state)
    if after is None:
        return Sight(NONE)
    made = any(s.id == after.id for s in catalog.newest_first())
    return Sight(DONE if made else DIED, after)


def follow(catalog: Catalog, *, every: float = 1.0) -> Iterator[Sight]:
    """What is seen of the job that runs now, until it is over."""
    seen = sight(catalog)
    yield seen
    while not seen.over:
        time.sleep(every)
        seen = sight(catalog, after=seen.job)
        yield seen


def cancel(
    catalog: Catalog, *, timeout: float = _GRACE, tell: Callable[[str], None] = lambda _line: None
) -> JobState:
    """Asks the running backup to stop, and waits until it has.

    Raises:
        BackupNotFound: none runs.
        BackupError: it has not stopped in time, or was done before.
    """
    seen = sight(catalog)
    if seen.status != RUNNING or seen.job is None:
        raise BackupNotFound(
            f"no backup runs in {catalog.store.url}",
            hint="`kitestring backup list` shows those that are done",
        )
    job = seen.job
    ask_to_stop(catalog.store, job.id)
    if job.owner.host == socket.gethostname():
        with suppress(ProcessLookupError, PermissionError):  # it looks into the store anyway
            os.kill(job.owner.pid, signal.SIGTERM)
    tell(f"asked {job.id} to stop: process {job.owner.pid} on {job.owner.host}")
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        seen = sight(catalog, after=job)
        if seen.status == DONE:
            raise BackupError(
                f"the backup {job.id} was done before it could be stopped",
                hint=f"`kitestring backup delete {job.id}` removes it",
                subject=job.id,
            )
        if seen.over:
            return seen.job or job
        time.sleep(0.2)
    raise BackupError(
        f"the backup {job.id} has not stopped after {timeout:g} s",
        hint=f"look at process {job.owner.pid} on {job.owner.host}",
        subject=job.id,
    )
