"""A plan's parts, read apart, are the rows of the collection: live and out of a backup."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import SegmentUnreadable
from kitestring.model.backup import CollectionBackup, RowDigest, SegmentBackup, StoredObject
from kitestring.model.collection import Segment
from kitestring.segments.layout import SegmentRef, collection_files, segment_ids
from kitestring.segments.plan import Part, plan_backup, plan_live, read_part, read_parts
from kitestring.segments.reader import read_live, refuse_unknown, rows_written, system_column
from kitestring.segments.write import delta_log
from tests.unit.segments.support import info_of, keys_of, put_chunk, schema_of_all

SCHEMA = schema_of_all()
FLUSHED = "Flushed"


def stored() -> tuple[MemoryStore, list[Segment]]:
    """Two partitions with a segment each; row n has key n and timestamp 10 n."""
    store = MemoryStore()
    put_chunk(store, SCHEMA, range(10), ids=(7, 8, 9))
    put_chunk(store, SCHEMA, range(10, 20), ids=(7, 18, 19), storage=2)
    return store, [Segment(9, 8, 10, FLUSHED), Segment(19, 18, 10, FLUSHED, storage_version=2)]


def live(store: MemoryStore, segments: list[Segment], **options: object) -> tuple[Part, ...]:
    return plan_live(store, "files", info_of(SCHEMA), segments, **options)  # type: ignore[arg-type]


def test_a_part_is_a_segment_with_its_size() -> None:
    store, segments = stored()
    first, second = live(store, segments)
    assert (first.ref, first.partition_id, first.rows) == (SegmentRef(7, 8, 9), 8, 10)
    assert second.ref == SegmentRef(7, 18, 19)
    below = [len(data) for key, data in store.objects.items() if "/7/8/9/" in key]
    assert first.bytes == sum(below)


def test_segments_that_are_not_flushed_or_empty_are_passed_over() -> None:
    store, segments = stored()
    more = [Segment(20, 8, 5, "Growing"), Segment(21, 8, 0, FLUSHED)]
    assert len(live(store, segments + more)) == 2


def test_a_segment_without_files_is_an_error() -> None:
    store, segments = stored()
    with pytest.raises(SegmentUnreadable, match="7/8/22") as error:
        live(store, [*segments, Segment(22, 8, 5, FLUSHED)])
    assert "root path" in error.value.hint


def test_deletes_of_an_l0_segment_are_for_its_partition_or_for_all() -> None:
    store, segments = stored()
    store.put("files/delta_log/7/8/30/1", delta_log([(1, 99), (11, 999)], (7, 8, 30)))
    store.put("files/delta_log/7/-1/31/1", delta_log([(2, 99), (12, 999), (13, 130)], (7, -1, 31)))
    store.put("files/delta_log/7/8/9/1", delta_log([(3, 99)], (7, 8, 9)))
    zero = [Segment(30, 8, 0, FLUSHED, level="L0"), Segment(31, -1, 0, FLUSHED, level="L0")]

    parts = live(store, segments + zero)

    # 11 is of the other partition; 13 was written again with its delete
    assert len(parts) == 2
    assert keys_of(read_parts(store, parts)) == [n for n in range(20) if n not in (1, 2, 3, 12)]
    assert keys_of(read_live(store, "files", info_of(SCHEMA), segments + zero)) == keys_of(
        read_parts(store, parts)
    )


def test_rows_and_deletes_after_the_limit_are_left_out() -> None:
    store, segments = stored()
    store.put("files/delta_log/7/-1/31/1", delta_log([(1, 120), (2, 121)], (7, -1, 31)))
    zero = [Segment(31, -1, 0, FLUSHED, level="L0")]
    parts = live(store, segments + zero, until=120)
    assert keys_of(read_parts(store, parts)) == [n for n in range(13) if n != 1]
    assert keys_of(read_part(store, parts[0], until=30)) == [0, 1, 2, 3]
    assert keys_of(read_part(store, parts[1], until=10**9)) == [10, 11, 12]


def test_the_time_of_each_row_comes_along_where_it_is_asked_for() -> None:
    store, segments = stored()
    store.put("files/delta_log/7/8/9/1", delta_log([(3, 99)], (7, 8, 9)))
    for part, keys in zip(live(store, segments), (range(10), range(10, 20)), strict=True):
        (batch,) = read_part(store, part, ["id"], stamps=True)
        assert batch.schema.names == ["id", "<timestamp>"]
        assert batch.column(1).to_pylist() == [10 * n for n in keys if n != 3]


def test_parts_are_read_in_other_processes(tmp_path: Path) -> None:
    memory, segments = stored()
    store = LocalStore(tmp_path / "store")
    for key, data in memory.objects.items():
        store.put(key, data)
    parts = plan_live(store, "files", info_of(SCHEMA), segments)
    assert pickle.loads(pickle.dumps(parts)) == parts  # noqa: S301 - our own
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as processes:
        counted = list(processes.map(count, [store.path] * len(parts), parts))
    assert counted == [10, 10]


def count(path: Path, part: Part) -> int:
    return sum(batch.num_rows for batch in read_part(LocalStore(path), part))


def test_files_of_storage_v2_are_read_in_pieces(tmp_path: Path) -> None:
    """One may be as large as its segment: it is not read at once where the store can seek."""
    memory, segments = stored()
    store = LocalStore(tmp_path)
    for key, data in memory.objects.items():
        store.put(key, data)

    def refuse(key: str) -> bytes:
        raise AssertionError(key)

    (part,) = plan_live(store, "files", info_of(SCHEMA), segments[1:])
    store.get = refuse  # type: ignore[method-assign]
    assert keys_of(read_part(store, part)) == list(range(10, 20))


# --- backups


def backed_up(store: MemoryStore) -> CollectionBackup:
    """Every object of the collection, as a manifest names them."""
    segments = []
    for (partition, segment), files in collection_files(store, "files", 7).items():

        def objects(logs: list[object]) -> tuple[StoredObject, ...]:
            return tuple(
                StoredObject(
                    f"pool/{log.key}",  # type: ignore[attr-defined]
                    log.key.removeprefix("files/"),  # type: ignore[attr-defined]
                    log.size,  # type: ignore[attr-defined]
                    hashlib.sha256(store.get(log.key)).hexdigest(),  # type: ignore[attr-defined]
                )
                for log in logs
            )

        insert = objects([log for logs in files.insert.values() for log in logs])
        segments.append(
            SegmentBackup(segment, partition, 10 if insert else 0, insert, objects([*files.delta]))
        )
    return CollectionBackup(
        name="c", id=7, schema=SCHEMA, shards=2, partitions=(), consistency="Strong",
        properties={}, indexes=(), aliases=(), loaded=False, replicas=0,
        segments=tuple(segments), digest=RowDigest(0, "", ""),
    )  # fmt: skip


class Pool:
    """Objects by the keys that they had."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def get(self, key: str) -> bytes:
        return self._store.get(f"files/{key}")

    def list(self, prefix: str) -> object:
        raise AssertionError("a manifest names the objects")


def test_the_parts_of_a_backup_come_from_its_manifest() -> None:
    store, _ = stored()
    store.put("files/delta_log/7/-1/31/1", delta_log([(1, 2**50), (12, 2**50)], (7, -1, 31)))
    store.put("files/delta_log/7/8/9/1", delta_log([(3, 99)], (7, 8, 9)))
    collection = backed_up(store)
    assert len(collection.segments) == 3

    parts = plan_backup(collection, 2**40)

    assert sorted(part.partition_id for part in parts) == [8, 18]
    assert sorted(keys_of(read_parts(Pool(store), parts))) == [  # type: ignore[arg-type]
        n for n in range(20) if n not in (1, 3, 12)
    ]
    # deletes after the boundary are not of the backup
    parts = plan_backup(collection, (2**50 >> 18) - 1)
    assert 1 in keys_of(read_parts(Pool(store), parts))  # type: ignore[arg-type]


def test_an_object_of_another_segment_in_a_manifest_is_an_error() -> None:
    store, _ = stored()
    collection = backed_up(store)
    first, second = collection.segments
    swapped = replace(collection, segments=(replace(first, insert=second.insert), second))
    with pytest.raises(SegmentUnreadable, match="not where"):
        plan_backup(swapped, 1)


# --- single segments


@pytest.mark.parametrize("storage", [1, 2])
def test_system_columns_and_rows_of_a_segment(storage: int) -> None:
    store = MemoryStore()
    put_chunk(store, SCHEMA, range(4), storage=storage)
    put_chunk(store, SCHEMA, range(4, 6), storage=storage, first_log=2000)
    files = collection_files(store, "files", 7)[8, 9]
    ref = SegmentRef(7, 8, 9)
    assert files.logs == 2
    assert rows_written(store, files, ref) == 6
    assert rows_written(store, files.first(1), ref) == 4
    assert system_column(store, files, 1, 1, ref).tolist() == [40, 50]
    assert system_column(store, files, 0, 0, ref).tolist() == [500, 501, 502, 503]


def test_the_first_logs_of_a_field_that_came_later_are_none() -> None:
    store = MemoryStore()
    put_chunk(store, SCHEMA, range(4), only=["id"])
    put_chunk(store, SCHEMA, range(4, 6), only=["id", "s_bool"], first_log=2000)
    files = collection_files(store, "files", 7)[8, 9]
    assert {len(logs) for logs in files.first(1).insert.values()} == {0, 1}
    assert len(files.first(1).insert[100]) == 1


def test_listing_a_collection_finds_all_its_segments() -> None:
    store, _ = stored()
    store.put("files/delta_log/7/-1/31/1", b"")
    assert set(collection_files(store, "files", 7)) == {(8, 9), (18, 19), (-1, 31)}
    assert segment_ids(store, "files", 7) == {9, 19}


def test_segments_of_newer_storage_are_refused() -> None:
    refuse_unknown(Segment(1, 2, 3, FLUSHED, storage_version=2))
    refuse_unknown(Segment(1, 2, 3, FLUSHED, level="L0"))
    with pytest.raises(SegmentUnreadable, match="storage v3"):
        refuse_unknown(Segment(1, 2, 3, FLUSHED, storage_version=3))
