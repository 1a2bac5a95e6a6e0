"""The day-2 contract on a real server: changes once, tells the truth before, stops when it must."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from kitestring.backup.catalog import open_catalog
from kitestring.model.collection import Index

DAY2 = "playbooks/day2.yml"
WEAK = Index("embedding", "embedding", "HNSW", "COSINE", {"M": "4", "efConstruction": "16"})


@pytest.fixture
def cluster(spec_for, unique, filled):
    """A spec with one filled collection whose alias is still missing."""
    loaded = spec_for(
        {"name": unique(), "aliases": [unique("a")]},
        day2={"compaction": {"max_segments": 2, "max_deleted_ratio": 0.2}},
    )
    filled(loaded)
    return loaded


def backups(loaded: Any) -> list[str]:
    return [s.id for s in open_catalog(loaded).summaries()]


def test_it_changes_once_and_check_mode_tells_the_truth(play, cluster, milvus, rows):
    collection = cluster.spec.collections[0]
    (alias,) = collection.aliases
    milvus.delete(collection.name, [row["id"] for row in rows(30)])

    foretold = play(DAY2, cluster.file, "--check", "--diff")
    assert foretold.code == 0, foretold.output
    assert f"-test/{collection.name}/alias/{alias}: absent" in foretold.output
    assert f"+test/{collection.name}: compacted" in foretold.output
    assert "-newest backup: none" in foretold.output
    assert "+newest backup: a new one" in foretold.output
    assert milvus.alias_owner(alias) is None
    assert milvus.count(collection.name) == 30
    assert backups(cluster) == []

    first = play(DAY2, cluster.file, "--diff")
    assert first.code == 0, first.output
    assert first.changed_tasks() == foretold.changed_tasks()
    assert milvus.alias_owner(alias) == collection.name
    assert sum(s.rows for s in milvus.segments(collection.name)) == 30
    assert len(backups(cluster)) == 1

    second = play(DAY2, cluster.file, "--diff", "-v")
    assert second.code == 0, second.output
    assert '"settled": ["embedding", "reconcile", "compaction"]' in second.output
    assert second.changed_tasks() == []
    assert second.changed == 0
    assert len(backups(cluster)) == 1


def test_planted_faults_are_corrected_and_nothing_else(play, cluster, milvus, filled, unique):
    collection = cluster.spec.collections[0]
    (alias,) = collection.aliases
    older = unique("older")
    info = milvus.describe(collection.name)
    milvus.create_collection(older, info.schema)
    try:
        milvus.create_alias(older, alias)
        milvus.release(collection.name)
        milvus.drop_index(collection.name, "embedding")
        milvus.create_index(collection.name, WEAK, wait=True)

        foretold = play(DAY2, cluster.file, "--tags", "reconcile", "--check", "--diff")
        assert foretold.changed_tasks() == [
            "Bring collections, indexes, load state and aliases back to the spec"
        ]
        assert milvus.alias_owner(alias) == older
        assert not milvus.describe(collection.name).loaded

        done = play(DAY2, cluster.file, "--tags", "reconcile", "--diff")
        assert done.code == 0, done.output
        for line in (
            f"-test/{collection.name}/index/embedding: HNSW COSINE M=4 efConstruction=16",
            f"+test/{collection.name}/index/embedding: HNSW COSINE M=16 efConstruction=100",
            f"-test/{collection.name}: not loaded",
            f"+test/{collection.name}: loaded, replicas=1",
            f"-test/{collection.name}/alias/{alias}: {older}",
            f"+test/{collection.name}/alias/{alias}: {collection.name}",
        ):
            assert line in foretold.output
            assert line in done.output
        assert done.output.count(f"\n+test/{collection.name}") == 3
        after = milvus.describe(collection.name)
        assert after.loaded
        assert after.indexes[0].index.params["M"] == "16"
        assert milvus.alias_owner(alias) == collection.name
        assert milvus.count(collection.name) == 60

        again = play(DAY2, cluster.file, "--tags", "reconcile")
        assert again.changed == 0
    finally:
        milvus.drop_collection(older)


def test_a_fresh_cluster_is_created_from_the_spec(play, spec_for, unique, milvus):
    loaded = spec_for({"name": unique(), "aliases": [unique("a")]})
    collection = loaded.spec.collections[0]
    run = play(DAY2, loaded.file, "--tags", "embedding,reconcile")
    assert run.code == 0, run.output
    assert milvus.describe(collection.name).loaded
    assert milvus.alias_owner(collection.aliases[0]) == collection.name


def test_another_schema_fails_the_role_after_the_rest_was_corrected(
    play, spec_for, unique, milvus, filled
):
    name = unique()
    filled(spec_for({"name": name}))
    loaded = spec_for({"name": name, "aliases": [unique("a")], "text_max_length": 64})
    run = play(DAY2, loaded.file, "--tags", "reconcile")
    assert run.code == 2, run.output
    assert "enforce.unfixable" in run.output
    assert "max_length" in run.output
    assert milvus.alias_owner(loaded.spec.collections[0].aliases[0]) == name


def test_nothing_is_compacted_outside_of_the_window(play, cluster, milvus, rows):
    name = cluster.spec.collections[0].name
    milvus.delete(name, [row["id"] for row in rows(30)])
    hour = time.localtime().tm_hour
    first, last = (f"{(hour + later) % 24:02}:00" for later in (6, 8))
    text = cluster.file.read_text()
    cluster.file.write_text(
        text.replace("compaction:", f"compaction:\n    at: '{first}'\n    window: {first}-{last}")
    )
    run = play(DAY2, cluster.file, "--tags", "compaction", "-v")
    assert run.code == 0, run.output
    assert f"outside of the window {first}-{last}" in run.output
    assert "Compact the collections whose segments call for it" not in run.changed_tasks()
    cluster.file.write_text(text)
    run = play(DAY2, cluster.file, "--tags", "compaction", "-v")
    assert run.code == 0, run.output
    assert "Compact the collections whose segments call for it" in run.changed_tasks()
    (told,) = re.findall(r'"needed_bytes": (\d+)', run.output)
    assert int(told) > 0
