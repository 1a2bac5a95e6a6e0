"""A spec from what a server holds: names mapped, guesses marked, and it loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.errors import UsageError
from kitestring.model.collection import CollectionInfo, Field, Index, IndexState, Partition, Schema
from kitestring.spec.adopt import adopt, bare_spec, cluster_name, refuse_existing
from kitestring.spec.document import parse_document
from kitestring.spec.load import resolve
from kitestring.spec.models import Spec
from kitestring.spec.roles import map_roles
from kitestring.spec.schema import collection_schema, wanted_index

BROWNFIELD = Schema(
    (
        Field("pk", "INT64", primary=True, auto_id=True, field_id=100),
        Field("source", "VARCHAR", max_length=512, field_id=101),
        Field("chunk_id", "INT64", field_id=102),
        Field("content", "VARCHAR", max_length=8000, field_id=103),
        Field("sha", "VARCHAR", max_length=64, field_id=104),
        Field("tags", "ARRAY", element_type="VARCHAR", max_capacity=8, max_length=32, field_id=105),
        Field("emb", "FLOAT_VECTOR", dim=8, field_id=106),
    ),
    dynamic=True,
    description="made by hand: long ago",
)
INFO = CollectionInfo(
    name="legacy",
    id=1,
    schema=BROWNFIELD,
    shards=2,
    partitions=(Partition("_default", 1), Partition("archive", 2)),
    consistency="Bounded",
    properties={"collection.ttl.seconds": "3600"},
    aliases=("current",),
    indexes=(
        IndexState(
            Index("_default_idx_106", "emb", "IVF_FLAT", "L2", {"nlist": "128"}), 10, 10, 0,
            "Finished",
        ),
    ),
    load_state="Loaded",
    replicas=1,
)  # fmt: skip


def spec_of(text: str) -> Spec:
    return resolve(parse_document(Path("F"), text), {}).spec


def test_the_literal_spec_of_a_brownfield_collection() -> None:
    found = adopt("old", "https://milvus:19530", [INFO], token_env="MILVUS_TOKEN")
    assert (
        found.text
        == """\
# Adopted from https://milvus:19530. Look at every guess below, then add what a server can't tell:
# `models`, each collection's `model` and `chunking`, `storage`, `backup`, `objectives`.
version: 1
cluster:
  name: old
connection:
  uri: https://milvus:19530
  token:
    env: MILVUS_TOKEN
state: .kitestring/old/state
collections:
  - name: legacy
    description: "made by hand: long ago"
    fields:
      id: pk
      vector: emb
      tenant_id: none
      doc_id: source  # a guess, by its name
      chunk_index: chunk_id  # a guess, by its name; does it count a document's passages from 0?
      text: content  # a guess, by its name
      content_hash: sha  # a guess, by its name; is it the SHA-256 of the text, in hex?
      embedding_model: none
      chunker: none
      last_embedded_at: none
    columns:
      - name: pk
        type: INT64
        primary: true
        auto_id: true
      - name: source
        type: VARCHAR
        max_length: 512
      - name: chunk_id
        type: INT64
      - name: content
        type: VARCHAR
        max_length: 8000
      - name: sha
        type: VARCHAR
        max_length: 64
      - name: tags
        type: ARRAY
        max_length: 32
        max_capacity: 8
        element_type: VARCHAR
      - name: emb
        type: FLOAT_VECTOR
        dim: 8
    dynamic: true
    shards: 2
    partitions: [archive]
    properties:
      collection.ttl.seconds: "3600"
    indexes:
      - field: emb
        name: _default_idx_106
        type: IVF_FLAT
        metric: L2
        params:
          nlist: 128
    load:
      loaded: true
      replicas: 1
    aliases: [current]
"""
    )
    assert (found.collections, found.guesses) == (1, 4)


def test_the_adopted_spec_wants_what_is_there() -> None:
    spec = spec_of(adopt("old", "http://h:1", [INFO]).text)
    collection = spec.collections[0]
    there = tuple(replace(f, field_id=None) for f in BROWNFIELD.fields)
    assert collection_schema(spec, collection) == replace(BROWNFIELD, fields=there)
    assert [wanted_index(i) for i in collection.indexes] == [INFO.indexes[0].index]
    assert collection.aliases == ["current"]
    assert collection.fields.embedding_model is None


@pytest.mark.parametrize(
    ("fields", "role", "expected"),
    [
        ([Field("checksum", "VARCHAR")], "content_hash", "checksum"),
        ([Field("hash", "FLOAT")], "content_hash", "none"),  # the type can't play the role
        ([Field("hash", "VARCHAR"), Field("content_hash", "VARCHAR")], "content_hash",
         "content_hash"),
        ([Field("Document_ID", "INT64")], "doc_id", "Document_ID"),
        ([Field("body", "VARCHAR")], "text", "body"),
        ([Field("text", "JSON"), Field("chunk", "VARCHAR")], "text", "chunk"),
        ([Field("group", "VARCHAR", partition_key=True)], "tenant_id", "group"),
        ([Field("category", "VARCHAR")], "tenant_id", "none"),
        ([Field("embedded_at", "INT64")], "last_embedded_at", "embedded_at"),
        ([Field("embedded_at", "VARCHAR")], "last_embedded_at", "none"),
    ],
)  # fmt: skip
def test_roles_by_name_and_type(fields: list[Field], role: str, expected: str) -> None:
    schema = Schema(
        (Field("id", "VARCHAR", primary=True), Field("v", "FLOAT_VECTOR", dim=8), *fields)
    )
    found = map_roles(schema)
    assert found.fields[role] == expected
    assert found.fields["vector"] == "v"
    assert (role in found.reasons) == (expected not in ("none", role))


def test_a_field_plays_one_role() -> None:
    schema = Schema(
        (
            Field("id", "VARCHAR", primary=True),
            Field("v", "FLOAT_VECTOR", dim=8),
            Field("document", "VARCHAR"),
            Field("chunk", "VARCHAR"),
        )
    )
    named = [n for n in map_roles(schema).fields.values() if n != "none"]
    assert sorted(named) == ["chunk", "document", "id", "v"]


def test_one_of_several_vectors_is_a_guess() -> None:
    schema = Schema(
        (
            Field("id", "INT64", primary=True),
            Field("title_v", "FLOAT_VECTOR", dim=8),
            Field("body_v", "FLOAT_VECTOR", dim=8),
        )
    )
    found = map_roles(schema)
    assert found.fields["vector"] == "title_v"
    assert found.reasons["vector"] == "a guess: the first of 2 vectors"


def test_tenants_by_partition_key() -> None:
    fields = (*BROWNFIELD.fields, Field("tenant", "VARCHAR", max_length=64, partition_key=True))
    info = replace(
        INFO,
        schema=Schema(fields),
        partitions=tuple(Partition(f"_default_{n}", n) for n in range(64)),
    )
    collection = spec_of(adopt("old", "http://h:1", [info]).text).collections[0]
    assert collection.tenancy == "partition-key"
    assert collection.partitions == []


def test_without_index_and_not_loaded() -> None:
    info = replace(INFO, indexes=(), load_state="NotLoad", replicas=0)
    collection = spec_of(adopt("old", "http://h:1", [info]).text).collections[0]
    assert (collection.load.loaded, collection.indexes) == (False, [])


def test_what_is_not_known_is_left_out_and_said() -> None:
    fields = (*BROWNFIELD.fields, Field("place", "GEOMETRY"))
    found = adopt("old", "http://h:1", [INFO, replace(INFO, name="maps", schema=Schema(fields))])
    assert [c.name for c in spec_of(found.text).collections] == ["legacy"]
    reason = "the type GEOMETRY of its field `place` is not known"
    assert found.left_out == {"maps": reason}
    assert f"# left out: maps: {reason}\n" in found.text
    assert found.notes("old.yaml") == [
        "wrote 1 collection to old.yaml",
        "4 guesses to look at, see the comments",
        f"left out maps: {reason}",
    ]


def test_the_dynamic_field_is_no_column() -> None:
    info = replace(INFO, schema=Schema((*BROWNFIELD.fields, Field("$meta", "JSON")), dynamic=True))
    columns = spec_of(adopt("old", "http://h:1", [info]).text).collections[0].columns or []
    assert [c.name for c in columns] == [f.name for f in BROWNFIELD.fields]


def test_an_empty_server() -> None:
    assert spec_of(adopt("old", "http://h:1", []).text).collections == []


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://Milvus.example.com:19530", "milvus-example-com"),
        ("http://127.0.0.1:19530", "127-0-0-1"),
        ("http://[::1]:19530", "1"),
    ],
)
def test_the_name_comes_from_the_host(uri: str, name: str) -> None:
    assert cluster_name(uri) == name
    assert bare_spec(name, uri).spec.cluster.name == name


@pytest.mark.parametrize("uri", ["milvus:19530", "http://", "grpc://h:1", "http://root:pw@h:1"])
def test_what_is_no_address(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        cluster_name(uri)
    assert "pw" not in caught.value.message + caught.value.hint


def test_a_file_is_not_overwritten_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    refuse_existing(file, force=False)
    file.touch()
    with pytest.raises(UsageError, match="is there already"):
        refuse_existing(file, force=False)
    refuse_existing(file, force=True)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        refuse_existing(tmp_path / "none" / "c.yaml", force=False)
