"""Brings restored rows to answer: first by exact search, then by their index.

Building an index is most of a restore (141 of 155 s for 200,000 rows with HNSW). A server answers
by exact search over what it has loaded while it builds, so the index is only asked for, and the
collection is loaded at once. The index is ready when it is built *and* in the query nodes'
memory, which follows some 10 s later.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kitestring.checks.index_rows import SMALL_SEGMENT_ROWS
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.milvus.waiting import wait_until
from kitestring.errors import MilvusError, RestoreIncomplete, ServerUnreachable
from kitestring.model.backup import CollectionBackup

_LOAD_TIMEOUT = 3600.0
_INDEX_TIMEOUT = 6 * 3600.0
_TAKEN_UP = 300.0  # seconds that query nodes may take to load an index that is built
_EXACT = ("FLAT", "BIN_FLAT")  # query nodes keep no index of these, and never report one
_SETTLED = 30.0  # seconds after which a number of rows changes no more
_INDEX_SETTLED = 10.0


def ask_for_indexes(milvus: Milvus, backup: CollectionBackup, name: str) -> None:
    """Starts to build every index, and does not wait."""
    for index in backup.indexes:
        milvus.create_index(name, index)


def start_loading(milvus: Milvus, backup: CollectionBackup, name: str) -> str:
    """Starts to load; returns what is not as it was, in words.

    A server that wants the index before it loads gets it.
    """
    replicas = max(1, backup.replicas)
    try:
        milvus.load(name, replicas=replicas, wait=False)
    except ServerUnreachable:
        raise
    except MilvusError as error:
        if "index" in error.message.lower() and backup.indexes:
            await_indexes(milvus, backup, name)
            milvus.load(name, replicas=replicas, wait=False)
            return ""
        if replicas == 1:
            raise
        milvus.load(name, replicas=1, wait=False)  # a smaller target: one answers too
        return (
            f"`{name}` is loaded with 1 replica, not {replicas}: the target has too few query nodes"
        )
    return ""


def await_loaded(milvus: Milvus, name: str) -> None:
    wait_until(
        lambda: milvus.describe(name).loaded,
        timeout=_LOAD_TIMEOUT,
        what=f"the loading of `{name}`",
        longest=0.5,
    )


def confirm(milvus: Milvus, backup: CollectionBackup, name: str) -> None:
    """Compares the number of rows with the manifest's; waits while it still changes.

    Raises:
        RestoreIncomplete: it is another one.
    """

    def stored() -> int:
        return sum(s.rows for s in milvus.segments(name) if s.state == "Flushed")

    wanted = backup.digest.rows
    rows = _settled((lambda: milvus.count(name)) if backup.loaded else stored, wanted)
    if rows != wanted:
        raise RestoreIncomplete(
            f"`{name}` has {rows:,} rows, not {wanted:,}",
            hint="nothing is left of this restore; `kitestring backup verify --tier full` "
            "tells whether the backup is whole",
            subject=name,
        )


def _settled(read: Callable[[], int], wanted: int) -> int:
    """The number once it is `wanted`, or has not changed for a while."""
    seen, since = read(), time.monotonic()
    while seen != wanted and time.monotonic() - since < _SETTLED:
        time.sleep(0.2)
        now = read()
        if now != seen:
            seen, since = now, time.monotonic()
    return seen


def await_indexes(milvus: Milvus, backup: CollectionBackup, name: str) -> None:
    """Waits until every index is built over every row.

    Raises:
        MilvusError: the server could not build one.
    """
    short: list[tuple[int, float]] = []  # the rows that the index covers, and since when

    def built() -> bool:
        states = milvus.describe(name).indexes
        failed = [s.index.name for s in states if s.state == "Failed"]
        if failed:
            raise MilvusError(f"the server could not build the index `{failed[0]}` of `{name}`")
        if len(states) != len(backup.indexes) or any(
            s.state != "Finished" or s.pending_rows for s in states
        ):
            short.clear()
            return False
        rows = min(s.total_rows for s in states)
        if rows >= backup.digest.rows:
            return True
        # an import may be counted late
        if not short or short[-1][0] != rows:
            short.append((rows, time.monotonic()))
        return time.monotonic() - short[-1][1] > _INDEX_SETTLED

    if backup.indexes:
        wait_until(built, timeout=_INDEX_TIMEOUT, what=f"the index of `{name}`", longest=0.5)


def await_taken_up(milvus: Milvus, backup: CollectionBackup, name: str) -> str:
    """Waits until query nodes search by the index; returns what is not so, in words."""
    vectors = {field.name for field in backup.schema.vectors}
    built = [i for i in backup.indexes if i.field in vectors and i.type not in _EXACT]
    if not backup.loaded or not built:
        return ""
    try:
        wait_until(
            lambda: not _not_by_index(milvus, name),
            timeout=_TAKEN_UP,
            what="the index",
            longest=0.5,
        )
    except ServerUnreachable:
        raise
    except MilvusError:
        if left := _not_by_index(milvus, name):
            return (
                f"{left:,} rows of `{name}` are not searched by their index yet: if that stays, "
                "release it and load it again"
            )
    return ""


def _not_by_index(milvus: Milvus, name: str) -> int:
    """How many rows on disk query nodes search without their index, or as growing ones, which
    have an interim index of another recall; 0 where the server can't say."""
    try:
        found = [s for s in milvus.segments(name) if s.on_disk]
        memory = milvus.loaded_segments(name)
    except ServerUnreachable:
        raise
    except MilvusError:
        return 0
    disk = {s.id: s.rows for s in found if s.rows >= SMALL_SEGMENT_ROWS}  # others have no index
    sealed = [s for s in memory if s.state == "Sealed"]
    bare = sum(s.rows for s in sealed if s.rows >= SMALL_SEGMENT_ROWS and not s.index_id)
    growing = sum(disk.get(s.id, 0) for s in memory if s.state != "Sealed")
    # segments that a compaction has replaced on disk have as many rows, or more
    absent = sum(disk.values()) - sum(s.rows for s in sealed)
    return max(bare, growing, absent)
