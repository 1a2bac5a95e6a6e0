"""Rows out of the server's own files: nothing is asked of its query nodes."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from kitestring.clients.store.connect import open_segment_store
from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import KubernetesError, LocalNotRunning, SecretMissing, StoreError
from kitestring.model.collection import CollectionInfo, Segment
from kitestring.model.murmur import hash_column
from kitestring.observe.reconcile import Place
from kitestring.observe.records import on_disk
from kitestring.observe.take import Columns, Taken, Tap
from kitestring.parallel import Executor
from kitestring.segments.live import TTL, opened
from kitestring.segments.plan import Part, plan_live, read_part
from kitestring.spec.loaded import LoadedSpec

UNREACHABLE = (StoreError, SecretMissing, LocalNotRunning, KubernetesError)


@dataclass(frozen=True, slots=True)
class _Scan:
    """What is the same for all parts of a scan; sent to where they are read."""

    loaded: LoadedSpec
    columns: Columns
    oldest: int | None
    folder: Path | None
    token: str


class SegmentRows:
    """The live segments of a collection, as planned when this is made.

    Raises:
        SegmentUnreadable: a segment is of a kind that is not known. StoreError, SecretMissing,
        LocalNotRunning, KubernetesError: the store can't be reached.
    """

    path = "segments"

    def __init__(
        self,
        loaded: LoadedSpec,
        info: CollectionInfo,
        segments: Iterable[Segment],
        columns: Columns,
    ) -> None:
        store, root = open_segment_store(loaded)
        self._loaded, self._columns = loaded, columns
        self._parts = plan_live(store, root, info, segments)
        ttl = int(info.properties.get(TTL, "0") or 0)
        self._oldest = (int(time.time()) - ttl) * 1000 << 18 if ttl > 0 else None
        self._token = uuid.uuid4().hex

    @property
    def written(self) -> int:
        """Rows in the segments, deleted ones too."""
        return sum(part.rows or 0 for part in self._parts)

    def take(self, executor: Executor, folder: Path) -> Taken:
        """Reads the columns of every row.

        Raises:
            SegmentUnreadable, ObjectMissing: a file is damaged, or compaction took it away
            meanwhile. StoreError.
        """
        shared = folder if executor.shares_files else None
        scan = _Scan(self._loaded, self._columns, self._oldest, shared, self._token)
        whole = Taken()
        for number, taken in enumerate(
            executor.run(partial(_take, scan), list(enumerate(self._parts)))
        ):
            if shared is None:
                taken.runs = [
                    on_disk(run, folder / f"rows-{number}-{n}") for n, run in enumerate(taken.runs)
                ]
                taken.passages = [
                    on_disk(run, folder / f"passages-{number}-{n}")
                    for n, run in enumerate(taken.passages)
                ]
            whole.take(taken)
        return whole

    def keys(self, places: Sequence[Place]) -> list[str]:
        """The keys of rows, read again."""
        store, _ = open_segment_store(self._loaded)
        wanted: dict[int, dict[int, int]] = defaultdict(dict)
        for part, position, hashed in places:
            wanted[part][position] = hashed
        return [
            key
            for number, positions in sorted(wanted.items())
            for key in _found(store, self._parts[number], self._columns.key, positions)
        ]


def _take(scan: _Scan, numbered: tuple[int, Part]) -> Taken:
    number, part = numbered
    store, deltas = opened(scan.loaded, scan.token)
    tap = Tap(scan.columns, number, scan.folder, oldest=scan.oldest)
    for batch in read_part(store, part, scan.columns.read(), deltas=deltas, stamps=True):
        tap.add(batch)
    return tap.finish()


def _found(store: ObjectReader, part: Part, key: str, positions: dict[int, int]) -> Iterator[str]:
    begin = 0
    for batch in read_part(store, part, [key], stamps=True):
        here = sorted(p for p in positions if begin <= p < begin + batch.num_rows)
        if here:
            keys = batch.column(key).take(pa.array([p - begin for p in here]))
            hashes = hash_column(keys)[:, 0].tolist()
            for position, found, text in zip(here, hashes, keys.to_pylist(), strict=True):
                if positions[position] == found:
                    yield str(text)
        begin += batch.num_rows
