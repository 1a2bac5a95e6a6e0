"""Which rows are embedded again: by a hash of the key, the same part of every stratum.

One pass over keys and three short columns; see `pool` for what a stratum is.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kitestring.canary.pool import UNKNOWN, Pool, first_halves, mixed, strata_of
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import SegmentUnreadable, StoreError
from kitestring.model.collection import CollectionInfo
from kitestring.model.digest import key_hashes
from kitestring.parallel import Serial, Workers
from kitestring.segments.live import flushed_parts, opened
from kitestring.segments.plan import Part, read_part
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import FieldMap


@dataclass(frozen=True, slots=True)
class Chosen:
    """Keys in the order in which to take them."""

    keys: tuple[str | int, ...]
    population: int  # rows to choose from
    rows: int  # all that were read
    labels: dict[str, int]  # model label -> rows; empty where rows carry none
    segments: dict[str, int]  # key as text -> segment; empty where they were read over the API


def choose(
    milvus: Milvus,
    info: CollectionInfo,
    names: FieldMap,
    label: str,
    count: int,
    seed: str,
    *,
    loaded: LoadedSpec | None = None,
    workers: Workers | None = None,
    batch_rows: int = 8192,
) -> Chosen:
    """Up to `count` rows among those that carry `label`, or among all where rows carry none.

    Out of the segment files where those hold all rows: then a segment is a stratum too.

    Args:
        seed: the same seed chooses the same rows of the same collection, read the same way.
        loaded: names the server's store; None for the API alone.
        workers: what segments are read on; None for this process.

    Raises:
        CollectionNotLoaded, MilvusError: the rows can't be read.
    """
    wanted = Wanted.of(info, names, label, count, seed)
    if loaded is not None and info.loaded:
        found = _from_files(loaded, milvus, info, wanted, workers)
        if found is not None and found.rows == milvus.count(info.name):
            return wanted.chosen(found)
    sampled = Sampled.of(wanted)
    for batch in milvus.scan(info.name, list(wanted.columns), batch_rows=batch_rows):
        sampled.add(batch, wanted)
    return wanted.chosen(sampled)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; the same for all parts of a collection."""

    key: str
    columns: tuple[str, ...]
    names: FieldMap
    label: str
    count: int
    salt: int

    @classmethod
    def of(cls, info: CollectionInfo, names: FieldMap, label: str, count: int, seed: str) -> Wanted:
        """Of the fields that a collection has."""
        key = info.schema.primary.name
        asked = (key, names.tenant_id, names.last_embedded_at, names.embedding_model)
        columns = [n for n in asked if n is not None and info.schema.field(n)]
        return cls(key, tuple(dict.fromkeys(columns)), names, label, count, salt_of(seed))

    def chosen(self, found: Sampled) -> Chosen:
        """The rows to take, of all that were read."""
        order = found.pool.ordered(np.uint64(self.salt))
        keys = tuple(order)[: self.count]
        segments = {str(key): order[key] for key in keys if order[key] != UNKNOWN}
        population = int(found.pool.sizes.sum())
        return Chosen(keys, population, found.rows, dict(found.labels), segments)


def salt_of(seed: str) -> int:
    """What a seed makes of hashes: 64 bits."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")


@dataclass(slots=True)
class Sampled:
    """Candidates and counts of some rows."""

    pool: Pool
    labels: Counter[str]
    rows: int = 0

    @classmethod
    def of(cls, wanted: Wanted) -> Sampled:
        return cls(Pool(wanted.count), Counter())

    def add(self, batch: pa.RecordBatch, wanted: Wanted, segment: int = UNKNOWN) -> None:
        """Takes a batch of short columns, of one segment or over the API."""
        self.rows += batch.num_rows
        label = wanted.names.embedding_model
        if label in batch.schema.names:
            said = batch.column(label).fill_null("")
            self.labels.update({e["values"]: e["counts"] for e in said.value_counts().to_pylist()})
            batch = batch.filter(pc.equal(said, wanted.label))
        if batch.num_rows:
            keys = batch.column(wanted.key)
            hashes = mixed(first_halves(key_hashes(keys)) ^ np.uint64(wanted.salt))
            self.pool.add(keys, hashes, strata_of(batch, wanted.names, segment), segment)

    def take(self, other: Sampled) -> None:
        """Takes what another one has of other rows."""
        self.rows += other.rows
        self.labels.update(other.labels)
        self.pool.take(other.pool)


def _from_files(
    loaded: LoadedSpec,
    milvus: Milvus,
    info: CollectionInfo,
    wanted: Wanted,
    workers: Workers | None,
) -> Sampled | None:
    """None where the files don't hold all rows, or can't be read."""
    planned = flushed_parts(loaded, milvus, info)
    if planned is None:
        return None
    parts, token = planned[1], uuid.uuid4().hex
    executor = workers.of(sum(p.rows or 0 for p in parts)) if workers else Serial()
    whole = Sampled.of(wanted)
    try:
        for one in executor.run(partial(_of_part, loaded, token, wanted), parts):
            whole.take(one)
    except (SegmentUnreadable, StoreError):  # compaction may have removed a segment's files
        return None
    return whole


def _of_part(loaded: LoadedSpec, token: str, wanted: Wanted, part: Part) -> Sampled:
    store, deltas = opened(loaded, token)
    found = Sampled.of(wanted)
    for batch in read_part(store, part, list(wanted.columns), deltas=deltas):
        found.add(batch, wanted, part.ref.segment)
    return found


def slices(keys: Sequence[str | int], size: int) -> Iterator[Sequence[str | int]]:
    """The keys in groups of at most `size`."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
