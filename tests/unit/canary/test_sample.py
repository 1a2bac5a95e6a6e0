"""Which rows a canary looks at."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from kitestring.canary import pool
from kitestring.canary.sample import Sampled, Wanted, choose, salt_of
from kitestring.spec.models import FieldMap

NAMES = FieldMap()


def chosen(table, count, seed="s", **options):
    return choose(table, table.info, NAMES, "words@1", count, seed, **options)


def test_the_same_seed_chooses_the_same_rows_and_another_others(table):
    rows = table(2000)
    first = chosen(rows, 300)
    assert first == chosen(rows, 300, batch_rows=77)
    assert (first.population, first.rows, first.labels) == (2000, 2000, {"words@1": 2000})
    assert len(set(first.keys)) == 300
    shared = set(first.keys) & set(chosen(rows, 300, seed="t").keys)
    assert 15 < len(shared) < 80  # of 45 expected


def test_every_beginning_has_the_same_part_of_each_stratum(table):
    rows = table(3000)
    keys = chosen(rows, 600).keys
    stratum = dict(
        zip(
            rows.rows["id"],
            zip(rows.rows["tenant_id"], rows.rows["last_embedded_at"], strict=True),
            strict=True,
        )
    )
    for n in (300, 600):
        counts = Counter(stratum[key] for key in keys[:n])
        for (tenant, _), found in counts.items():
            assert found == pytest.approx(n * (0.9 if tenant == "big" else 0.1) / 3, abs=2)
        assert len(counts) == 6


def test_rows_of_another_label_are_counted_and_left_alone(table):
    rows = table(500)
    rows.rows["embedding_model"] = ["old@1" if i % 5 == 0 else "words@1" for i in range(500)]
    rows.rows["embedding_model"][1] = None
    found = chosen(rows, 500)
    assert found.labels == {"old@1": 100, "words@1": 399, "": 1}
    assert (len(found.keys), found.population) == (399, 399)
    assert not {f"k{i:06}" for i in range(0, 500, 5)} & set(found.keys)


def test_without_labels_tenants_and_days_all_rows_are_one_stratum(table):
    rows = table(400)
    names = FieldMap.model_validate(
        {"embedding_model": "none", "tenant_id": "none", "last_embedded_at": "none"}
    )
    found = choose(rows, rows.info, names, "words@1", 50, "s")
    assert (len(found.keys), found.population, found.labels) == (50, 400, {})


def test_a_small_collection_gives_all_and_duplicates_once(table):
    rows = table(30)
    for column in rows.rows.values():
        column.append(column[3])
    assert sorted(chosen(rows, 100).keys) == sorted(set(rows.rows["id"]))


def test_thinning_out_changes_nothing(table, monkeypatch):
    rows = table(3000)
    whole = chosen(rows, 40)
    monkeypatch.setattr(pool, "_POOL", 100)
    assert chosen(rows, 40, batch_rows=50) == whole


def from_segments(parts, count, seed="s", names=NAMES):
    """Of segments: id -> batch; each looked at alone, as another process would."""
    wanted = Wanted("id", ("id",), names, "words@1", count, salt_of(seed))
    whole = Sampled.of(wanted)
    for segment, batch in parts.items():
        one = Sampled.of(wanted)
        one.add(batch, wanted, segment)
        whole.take(one)
    return wanted.chosen(whole)


def test_whole_numbers_as_keys():
    batch = pa.RecordBatch.from_pydict({"id": pa.array(range(100), pa.int64())})
    found = from_segments({7: batch}, 10)
    assert all(isinstance(key, int) for key in found.keys)
    assert (found.population, set(found.segments.values())) == (100, {7})


def test_a_segment_is_a_stratum(monkeypatch):
    sizes = {31: 600, 32: 300, 33: 90, 34: 10}
    monkeypatch.setattr(pool, "_POOL", 50)
    parts = {
        segment: pa.RecordBatch.from_pydict({"id": [f"{segment}-{i}" for i in range(rows)]})
        for segment, rows in sizes.items()
    }
    for seed in ("a", "b", "c"):
        found = from_segments(parts, 200, seed)
        assert found == from_segments(dict(reversed(parts.items())), 200, seed)
        assert (len(found.keys), found.population) == (200, 1000)
        for n in (100, 200):
            counts = Counter(found.segments[key] for key in found.keys[:n])
            for segment, rows in sizes.items():
                assert counts[segment] == pytest.approx(n * rows / 1000, abs=1)
        assert all(key.startswith(str(found.segments[key])) for key in found.keys)
