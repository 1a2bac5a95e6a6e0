"""What rows carry: parents, metadata, passages cut by meaning; on a real server."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.clients.milvus.client import MilvusServer
from kitestring.errors import CollectionUnfit, UsageError
from kitestring.ingest.run import ingest
from kitestring.ingest.search import search
from kitestring.model.collection import Field, Schema
from kitestring.render.ingest import search_text
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.schema import collection_schema

pytestmark = pytest.mark.server
SpecFor = Callable[..., LoadedSpec]
Unique = Callable[[str], str]
STORY = (
    "The red kite flies high. The red kite flies low. The red kite flies home.\n\n"
    "The old baker kneads bread. The old baker bakes bread. The old baker sells bread.\n\n"
    "The slow train leaves late. The slow train stops late. The slow train arrives late.\n"
)


def rows(milvus: MilvusServer, name: str, *columns: str) -> list[dict[str, Any]]:
    schema = [f.name for f in milvus.describe(name).schema.fields]
    keys = [row["id"] for batch in milvus.scan(name, ["id"]) for row in batch.to_pylist()]
    hits = milvus.search(
        name, [[1.0] * 64], limit=100, field="embedding", columns=[*schema, *columns]
    )[0]
    assert {hit.key for hit in hits} == set(keys)
    return [dict(hit.fields) for hit in hits]


def test_a_search_finds_a_child_and_gives_its_parent(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, tmp_path: Path
) -> None:
    name = unique("c")
    chunking = {"strategy": "parent-child", "size": 50, "overlap": 0, "parent_size": 100}
    loaded = spec_for({"name": name, "chunking": chunking})
    (tmp_path / "d").mkdir()
    (tmp_path / "d/story.txt").write_text(STORY)
    report = ingest(loaded, milvus, name, [tmp_path / "d"])
    assert report.exit_code == 0
    assert report.chunker == "parent-child-100/50/0/1"
    found = search(loaded, milvus, name, "the baker kneads bread", limit=1).passages[0]
    assert found.text is not None
    assert "baker" in found.text
    assert len(found.text) <= 50
    assert found.parent is not None
    assert found.parent.text == STORY[found.parent.start : found.parent.end]
    assert "The old baker sells bread." in found.parent.text
    around = search(loaded, milvus, name, "kite bread train", limit=10, parents=True)
    parents = [passage.parent.id for passage in around.passages if passage.parent]
    assert len(parents) == len(set(parents)) == len(around.passages) == 3
    assert "The old baker sells bread" in search_text(around, parents=True).replace("\n   ", " ")
    # what is inserted at the top moves every parent, and their children say so
    (tmp_path / "d/story.txt").write_text("New.\n\n" + STORY)
    ingest(loaded, milvus, name, [tmp_path / "d"])
    moved = search(loaded, milvus, name, "the baker kneads bread", limit=1).passages[0]
    assert moved.parent is not None
    assert moved.parent.text == ("New.\n\n" + STORY)[moved.parent.start : moved.parent.end]
    other = spec_for({"name": name})
    with pytest.raises(UsageError, match="no parents"):
        search(other, milvus, name, "kite", parents=True)


def test_passages_are_cut_where_the_collections_own_model_sees_a_change(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, tmp_path: Path
) -> None:
    name = unique("c")
    chunking = {"strategy": "semantic", "size": 1000, "percentile": 70.0}
    loaded = spec_for({"name": name, "chunking": chunking})
    (tmp_path / "story.txt").write_text(STORY)
    assert ingest(loaded, milvus, name, [tmp_path / "story.txt"]).exit_code == 0
    texts = {row["text"] for row in rows(milvus, name)}
    assert texts == {part.strip() for part in STORY.split("\n\n")}
    assert ingest(loaded, milvus, name, [tmp_path / "story.txt"]).rows_written == 0


def test_metadata_is_written_into_columns_and_dynamic_fields_and_followed(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, tmp_path: Path
) -> None:
    name = unique("c")
    metadata = {
        "constants": {"source": "handbook"},
        "path": r"(?P<product>[^/]+)/.*",
        "front_matter": ["year", "tags"],
        "title": "heading",
        "modified": "changed",
    }
    plain = spec_for({"name": unique("plain")})
    contract = collection_schema(plain.spec, plain.spec.collections[0])
    columns = [
        {
            "name": f.name,
            "type": f.type,
            "primary": f.primary,
            "max_length": f.max_length,
            "dim": f.dim,
        }
        for f in contract.fields
    ]
    columns += [
        {"name": "product", "type": "VARCHAR", "max_length": 64},
        {"name": "year", "type": "INT64"},
    ]
    loaded = spec_for({"name": name, "columns": columns, "metadata": metadata})
    folder = tmp_path / "d"
    (folder / "kites").mkdir(parents=True)
    file = folder / "kites/start.md"
    file.write_text("---\nyear: 2024\ntags: [a, b]\n---\n# Start\n\nA kite flies.\n")
    (folder / "kites/bare.md").write_text("No year.\n")
    report = ingest(loaded, milvus, name, [folder])
    assert [f.doc_id for f in report.failed] == ["kites/bare.md"]
    assert "no value for the field `year`" in report.failed[0].message
    dynamic = ("source", "tags", "heading", "changed")
    (row,) = rows(milvus, name, *dynamic)
    assert (row["product"], row["year"], row["source"]) == ("kites", 2024, "handbook")
    assert (list(row["tags"]), row["heading"]) == (["a", "b"], "Start")
    assert row["changed"] == file.stat().st_mtime_ns // 1_000_000
    assert row["text"] == "# Start\n\nA kite flies."
    (folder / "kites/bare.md").unlink()
    assert ingest(loaded, milvus, name, [folder]).rows_written == 0

    file.write_text(file.read_text().replace("2024", "2025"))  # the passage is the same
    assert ingest(loaded, milvus, name, [folder]).rows_written == 1
    assert rows(milvus, name)[0]["year"] == 2025
    os.utime(file, (1, 1))
    assert ingest(loaded, milvus, name, [folder]).rows_written == 1
    assert rows(milvus, name, "changed")[0]["changed"] == 1000


def test_a_collection_without_room_for_metadata_is_refused(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, tmp_path: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name, "metadata": {"title": "heading"}})
    contract = collection_schema(loaded.spec, loaded.spec.collections[0])
    (tmp_path / "a.txt").write_text("A kite.")
    milvus.create_collection(name, Schema(contract.fields, dynamic=False))
    with pytest.raises(CollectionUnfit, match="no field `heading`, and takes no dynamic ones"):
        ingest(loaded, milvus, name, [tmp_path / "a.txt"])
    milvus.drop_collection(name)
    milvus.create_collection(
        name, Schema((*contract.fields, Field("other", "INT64")), dynamic=True)
    )
    with pytest.raises(CollectionUnfit, match="nothing would fill its field `other`"):
        ingest(loaded, milvus, name, [tmp_path / "a.txt"])
