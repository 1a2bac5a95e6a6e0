"""What a restored collection has otherwise than its manifest, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from kitestring.backup.restore.differences import definition_differences
from kitestring.drill.compare import compare_rows, deleted_present, row_comparison
from kitestring.errors import RowsHidden
from kitestring.model.backup import CollectionBackup, RowDigest
from kitestring.model.collection import (
    CollectionInfo,
    Field,
    Index,
    IndexState,
    Partition,
    Schema,
)
from kitestring.model.digest import digest_batches

SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64, field_id=100),
        Field("embedding", "FLOAT_VECTOR", dim=2, field_id=101),
    )
)
INDEX = Index("embedding", "embedding", "HNSW", "COSINE", {"M": "16"})
BATCH = pa.RecordBatch.from_arrays(
    [
        pa.array(["a", "b", "c"]),
        pa.FixedSizeListArray.from_arrays(pa.array([1.0, 0, 0, 1, 1, 1], pa.float32()), 2),
    ],
    names=["id", "embedding"],
)
WANTED = CollectionBackup(
    name="docs",
    id=1,
    schema=SCHEMA,
    shards=1,
    partitions=(Partition("_default", 2),),
    consistency="Bounded",
    properties={},
    indexes=(INDEX,),
    aliases=("current",),
    loaded=True,
    replicas=1,
    segments=(),
    digest=digest_batches("id", [BATCH]),
    deleted_keys=("x", "y"),
)
RESTORED = CollectionInfo(
    name="docs",
    id=77,
    schema=replace(SCHEMA, fields=tuple(replace(f, field_id=9) for f in SCHEMA.fields)),
    shards=1,
    partitions=(Partition("_default", 88),),
    consistency="Bounded",
    properties={},
    aliases=(),
    indexes=(IndexState(INDEX, 3, 3, 0, "Finished"),),
    load_state="Loaded",
    replicas=1,
)


class Server:
    """Answers a scan, a count and a lookup."""

    def __init__(self, batches: list[pa.RecordBatch], counted: int | None = None) -> None:
        self._batches = batches
        self._counted = sum(b.num_rows for b in batches) if counted is None else counted

    def scan(self, _name: str, columns: list[str]) -> Iterable[pa.RecordBatch]:
        return [b.select(columns) for b in self._batches]

    def count(self, _name: str) -> int:
        return self._counted

    def get(self, _name: str, keys: list[str | int], _columns: list[str]) -> list[dict[str, str]]:
        present = {k for b in self._batches for k in b.column("id").to_pylist()}
        return [{"id": str(k)} for k in keys if k in present]


def differing(
    wanted: CollectionBackup, found: CollectionInfo, aliases: Sequence[str]
) -> tuple[str, ...]:
    return tuple(map(str, definition_differences(wanted, found, aliases)))


def test_a_true_copy_has_no_differences_whatever_ids_the_server_gave() -> None:
    assert differing(WANTED, RESTORED, ["current"]) == ()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(RESTORED, indexes=()), ["index `embedding` is not restored"]),
        (
            replace(
                RESTORED,
                indexes=(IndexState(replace(INDEX, type="FLAT", params={}), 3, 3, 0, "Finished"),),
            ),
            [
                "index `embedding`, type: HNSW in the backup, FLAT restored",
                "index `embedding`, parameter `M`: 16 in the backup, none restored",
            ],
        ),
        (replace(RESTORED, load_state="NotLoad"), ["loaded: yes in the backup, no restored"]),
        (replace(RESTORED, shards=2), ["shards: 1 in the backup, 2 restored"]),
        (
            replace(RESTORED, properties={"ttl": "5"}),
            ["property `ttl`: none in the backup, 5 restored"],
        ),
        (
            replace(RESTORED, partitions=(*RESTORED.partitions, Partition("p", 3))),
            ["partition `p` is not in the backup"],
        ),
        (
            replace(
                RESTORED,
                schema=replace(
                    SCHEMA, fields=(replace(SCHEMA.fields[0], max_length=65), SCHEMA.fields[1])
                ),
            ),
            ["field `id`, max length: 64 in the backup, 65 restored"],
        ),
        (
            replace(RESTORED, schema=replace(SCHEMA, fields=SCHEMA.fields[:1], dynamic=True)),
            [
                "dynamic fields: no in the backup, yes restored",
                "field `embedding` is not restored",
            ],
        ),
    ],
)
def test_each_difference_is_named(found: CollectionInfo, words: list[str]) -> None:
    assert list(differing(WANTED, found, ["current"])) == words


def test_a_lost_alias_is_a_difference() -> None:
    assert differing(WANTED, RESTORED, []) == ("alias `current` is not restored",)


def test_equal_rows_in_another_order_match() -> None:
    turned = BATCH.take(pa.array([2, 0, 1]))
    rows = compare_rows(Server([turned.slice(0, 1), turned.slice(1)]), "docs", WANTED)
    assert (rows.keys_match, rows.content_match, rows.reasons) == (True, True, ())


def test_a_missing_row_is_seen() -> None:
    rows = compare_rows(Server([BATCH.slice(0, 2)]), "docs", WANTED)
    assert (rows.keys_match, rows.content_match) == (False, False)
    assert rows.reasons == ("rows: 3 in the backup, 2 restored",)


def test_a_changed_value_is_content_and_not_keys() -> None:
    changed = BATCH.set_column(
        1,
        "embedding",
        pa.FixedSizeListArray.from_arrays(pa.array([1.0, 0, 0, 1, 1, 1.001], pa.float32()), 2),
    )
    rows = compare_rows(Server([changed]), "docs", WANTED)
    assert (rows.keys_match, rows.content_match) == (True, False)
    assert "other content" in rows.reasons[0]


def test_another_key_is_seen_at_the_right_count() -> None:
    changed = BATCH.set_column(0, "id", pa.array(["a", "b", "z"]))
    rows = compare_rows(Server([changed]), "docs", WANTED)
    assert (rows.keys_match, rows.content_match) == (False, False)
    assert "other keys" in rows.reasons[0]


def test_a_scan_that_reads_less_than_the_server_counts_is_no_match() -> None:
    wanted = WANTED.digest
    rows = row_comparison(wanted, 5, wanted)
    assert not rows.keys_match
    assert len(rows.reasons) == 2
    assert not row_comparison(RowDigest(3, "0", "0"), 3, wanted).content_match


def test_keys_that_are_there_twice_are_compared_by_the_files() -> None:
    """The API shows one row of a key, as Milvus does; the files hold both."""
    both = pa.Table.from_batches([BATCH, BATCH.slice(0, 1)]).combine_chunks().to_batches()[0]
    wanted = replace(WANTED, digest=digest_batches("id", [both]))
    server = Server([BATCH], counted=4)
    alone = compare_rows(server, "docs", wanted)
    assert (alone.keys_match, alone.content_match) == (False, False)
    rows = compare_rows(server, "docs", wanted, None, lambda: wanted.digest)
    assert (rows.keys_match, rows.content_match) == (True, True)
    assert rows.reasons[0].startswith("1 rows have the key of another one")
    other = replace(wanted.digest, content="0" * 32)
    rows = compare_rows(server, "docs", wanted, None, lambda: other)
    assert (rows.keys_match, rows.content_match) == (True, False)


def test_a_row_that_the_api_hides_is_compared_by_the_files() -> None:
    class Hiding(Server):
        def scan(self, name: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
            yield from super().scan(name, columns)
            raise RowsHidden("1 row of the largest key")

    wanted = replace(WANTED, digest=replace(WANTED.digest, rows=4))
    server = Hiding([BATCH], counted=4)
    alone = compare_rows(server, "docs", wanted)
    assert (alone.keys_match, alone.content_match) == (False, False)
    rows = compare_rows(server, "docs", wanted, None, lambda: wanted.digest)
    assert (rows.keys_match, rows.content_match) == (True, True)
    assert "largest key" in rows.reasons[0]


def test_files_do_not_excuse_a_wrong_count() -> None:
    def never() -> RowDigest:
        raise AssertionError

    rows = compare_rows(Server([BATCH.slice(0, 2)]), "docs", WANTED, None, never)
    assert not rows.keys_match


def test_deleted_keys_that_are_back_are_counted() -> None:
    assert deleted_present(Server([BATCH]), "docs", WANTED) == 0
    back = BATCH.set_column(0, "id", pa.array(["a", "x", "y"]))
    assert deleted_present(Server([back]), "docs", WANTED) == 2
    none = replace(WANTED, deleted_keys=())
    assert deleted_present(Server([back]), "docs", none) == 0
