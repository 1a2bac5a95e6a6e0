"""Takes the canaries that a spec asks for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import pyarrow as pa

from kitestring.canary.arrays import stored_vectors
from kitestring.canary.measure import measure
from kitestring.canary.vectors import VectorCensus
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import CollectionNotLoaded, KitestringError, MilvusError
from kitestring.model.canary import Vectors
from kitestring.model.collection import CollectionInfo, Field
from kitestring.model.snapshot import Snapshot
from kitestring.observe.vectors import FILES, files_until, sources
from kitestring.parallel import Serial, Workers
from kitestring.segments.live import opened
from kitestring.segments.plan import Part, read_part
from kitestring.spec.loaded import LoadedSpec

_LITTLE = 64 * 1024 * 1024  # bytes


def take_canaries(
    loaded: LoadedSpec, milvus: Milvus, snapshot: Snapshot, workers: Workers | None = None
) -> Snapshot:
    """The snapshot with a canary of each collection that the spec asks one for.

    Args:
        workers: what segments are read and texts embedded on; None for this process.

    Raises:
        MilvusError: the server went away.
    """
    collections = dict(snapshot.collections)
    for wanted in loaded.spec.collections:
        seen = collections.get(wanted.name)
        if wanted.canary is None or seen is None:
            continue
        found = measure(loaded, milvus, wanted, seen.info, workers=workers)
        model = loaded.spec.model_named(wanted.model)
        field = seen.info.schema.field(wanted.fields.vector)
        if wanted.canary.vectors == "all" and found.vectors and model and field:
            every = every_vector(
                loaded, milvus, seen.info, field, unit=model.normalize, workers=workers
            )
            found = replace(found, vectors=every)
        collections[wanted.name] = replace(seen, canary=found)
    return replace(snapshot, collections=collections)


def every_vector(
    loaded: LoadedSpec,
    milvus: Milvus,
    info: CollectionInfo,
    field: Field,
    *,
    unit: bool,
    workers: Workers | None = None,
) -> Vectors:
    """The vectors of every row, out of the segment files where those have them all.

    What was written last may be in no file: little is read over the API, and what files give is
    told to go up to their boundary (`Vectors.until`).

    Args:
        unit: the model's vectors are scaled to length 1.
        workers: what segments are read on; None for this process.

    Raises:
        MilvusError: the server went away.
    """
    found = Vectors("api", 0, 0, field.dim or 0, complete=False, reason="no rows were read")
    files = files_until(loaded, milvus, info.name)
    for source in sources(loaded, milvus, info):
        counted = milvus.count(info.name)
        little = 4 * counted * (field.dim or 1) <= _LITTLE
        if source.path == FILES and (little or not files.known):
            continue
        census = VectorCensus(field, unit=unit)
        executor = workers.of(counted) if workers and source.parts else Serial()
        try:
            if source.parts:
                work = partial(_of_part, loaded, uuid.uuid4().hex, field, unit)
                for one in executor.run(work, source.parts):
                    census.take(one)
            else:
                _read(census, source.read, info.schema.primary.name, field)
            reason = ""
        except CollectionNotLoaded:
            reason = "the collection was released while it was read"
        except MilvusError:
            raise
        except KitestringError as error:  # compaction may just have removed a segment's files
            reason = error.message
        if not reason and source.path == FILES and not _still_files(loaded, milvus, info):
            reason = "rows were written meanwhile"
        if not reason and census.rows != counted:
            reason = f"count(*) says {counted:,} rows, {census.rows:,} were read"
        found = census.result(source.path, counted, complete=not reason, reason=reason)
        found = replace(found, until=files.at if source.path == FILES else None)
        if found.complete:
            break
    return found


def _still_files(loaded: LoadedSpec, milvus: Milvus, info: CollectionInfo) -> bool:
    return next(sources(loaded, milvus, info)).path == FILES


def _of_part(loaded: LoadedSpec, token: str, field: Field, unit: bool, part: Part) -> VectorCensus:
    store, deltas = opened(loaded, token)
    census = VectorCensus(field, unit=unit)

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        return read_part(store, part, columns, deltas=deltas)

    _read(census, read, part.schema.primary.name, field)
    return census


def _read(
    census: VectorCensus,
    read: Callable[[Sequence[str]], Iterator[pa.RecordBatch]],
    key: str,
    field: Field,
) -> None:
    for batch in read([key, field.name]):
        if batch.num_rows:
            census.add(batch.column(key), stored_vectors(batch.column(field.name), field))
