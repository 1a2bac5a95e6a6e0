"""Observation of a real server on which every fault of rows was planted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.cli import cli, run
from kitestring.clients.milvus.client import MilvusServer
from kitestring.ingest.ledger import open_ledger
from kitestring.model.ledger import LedgerRow
from kitestring.model.snapshot import RowCensus, Snapshot, Tally
from kitestring.observe import observe
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.schema import collection_schema, wanted_index

pytestmark = pytest.mark.server

ROWS = 300
KEYS = [f"key{n:04}" for n in range(ROWS)]
CHUNKER = "sentence/200/20/1"
MODEL = "hashing-word@1"
SpecFor = Callable[..., LoadedSpec]


def a_row(key: str, **other: Any) -> dict[str, Any]:
    return {
        "id": key,
        "embedding": [float(ord(c) % 7) + 0.5 for c in (key * 64)[:64]],
        "tenant_id": "",
        "doc_id": "doc",
        "chunk_index": 0,
        "text": "a passage",
        "content_hash": f"hash of {key}",
        "embedding_model": MODEL,
        "chunker": CHUNKER,
        "last_embedded_at": 1000,
        **other,
    }


@pytest.fixture
def faithful(spec_for: SpecFor, milvus: MilvusServer, unique: Callable[[str], str]) -> LoadedSpec:
    """A loaded collection of 300 rows, the alias that the spec wants, and their ledger."""
    loaded = spec_for({"name": unique("c"), "aliases": [unique("a")]})
    collection = loaded.spec.collections[0]
    milvus.create_collection(collection.name, collection_schema(loaded.spec, collection))
    milvus.create_index(collection.name, wanted_index(collection.indexes[0]))
    milvus.load(collection.name)
    milvus.upsert(collection.name, [a_row(key) for key in KEYS])
    milvus.create_alias(collection.name, collection.aliases[0])
    with open_ledger(loaded) as ledger, ledger.run(collection.name) as hold:
        ledger.bind(hold, milvus.describe(collection.name).id)
        ledger.enter(
            hold,
            "",
            [LedgerRow(k, "doc", 0, f"hash of {k}", MODEL, CHUNKER, 1000) for k in KEYS],
        )
    return loaded


def census_of(loaded: LoadedSpec, snapshot: Snapshot) -> RowCensus:
    census = snapshot.collections[loaded.spec.collections[0].name].census
    assert census is not None
    return census


def test_a_faithful_collection(faithful: LoadedSpec, milvus: MilvusServer) -> None:
    collection = faithful.spec.collections[0]
    snapshot = observe(faithful, milvus)
    assert snapshot.cluster == "test"
    assert "2.3" in snapshot.server_version
    assert snapshot.aliases[collection.aliases[0]] == collection.name
    assert snapshot.backups == ()
    assert snapshot.drills == ()
    seen = snapshot.collections[collection.name]
    assert seen.info.loaded
    assert [state.index.type for state in seen.info.indexes] == ["HNSW"]
    census = census_of(faithful, snapshot)
    assert census.complete, census.reason
    assert (census.counted, census.distinct_keys, census.ledger_rows) == (ROWS, ROWS, ROWS)
    assert (census.missing, census.orphan, census.stale, census.duplicate) == (Tally(),) * 4
    assert census.models == {MODEL: ROWS}
    assert census.chunkers == {CHUNKER: ROWS}


@pytest.mark.parametrize("flushed", [False, True], ids=["growing", "flushed"])
def test_planted_faults_are_all_found(
    faithful: LoadedSpec, milvus: MilvusServer, flushed: bool
) -> None:
    name = faithful.spec.collections[0].name
    if flushed:
        milvus.flush(name)
    milvus.delete(name, KEYS[:3])
    milvus.upsert(name, [a_row(KEYS[10], content_hash="another")])
    milvus.upsert(name, [a_row(KEYS[20], embedding_model="other@9")])
    milvus.upsert(name, [a_row(KEYS[30], chunker="fixed/9/0/1")])
    milvus.insert(name, [a_row("orphan")])
    milvus.insert(name, [a_row(key) for key in (KEYS[40], KEYS[41], KEYS[299])])
    if flushed:
        milvus.flush(name)
    census = census_of(faithful, observe(faithful, milvus))
    assert census.complete, census.reason
    assert census.missing == Tally(3, tuple(KEYS[:3]))
    assert census.orphan == Tally(1, ("orphan",))
    assert census.stale == Tally(1, (KEYS[10],))
    assert census.duplicate == Tally(3, (KEYS[40], KEYS[41], KEYS[299]))
    assert census.models == {MODEL: 297, "other@9": 1}
    assert census.model_examples["other@9"] == (KEYS[20],)
    assert census.chunkers == {CHUNKER: 297, "fixed/9/0/1": 1}
    assert census.counted == census.rows_read + 3


def test_duplicates_do_not_end_a_scan_early(faithful: LoadedSpec, milvus: MilvusServer) -> None:
    # the server counts the second row of a key against the limit, then removes it
    name = faithful.spec.collections[0].name
    milvus.insert(name, [a_row(key) for key in KEYS[:5]])
    read = [
        key
        for batch in milvus.scan(name, ["id"], batch_rows=50)
        for key in batch.column(0).to_pylist()
    ]
    assert read == KEYS


def test_a_collection_that_is_not_loaded_is_incomplete(
    faithful: LoadedSpec, milvus: MilvusServer
) -> None:
    name = faithful.spec.collections[0].name
    milvus.release(name)
    snapshot = observe(faithful, milvus)
    assert not snapshot.collections[name].info.loaded
    census = census_of(faithful, snapshot)
    assert not census.complete
    assert "not loaded" in census.reason


def test_without_rows_and_beyond_the_spec(
    faithful: LoadedSpec, milvus: MilvusServer, unique: Callable[[str], str]
) -> None:
    other = unique("other")
    collection = faithful.spec.collections[0]
    milvus.create_collection(other, collection_schema(faithful.spec, collection))
    try:
        assert observe(faithful, milvus).collections[other].census is None
        snapshot = observe(faithful, milvus, wanted=())
        assert snapshot.collections[collection.name].census is None
    finally:
        milvus.drop_collection(other)


def test_an_alias_that_moved_is_seen_at_once(
    faithful: LoadedSpec, milvus: MilvusServer, unique: Callable[[str], str]
) -> None:
    collection = faithful.spec.collections[0]
    alias, other = collection.aliases[0], unique("other")
    milvus.create_collection(other, collection_schema(faithful.spec, collection))
    try:
        milvus.move_alias(other, alias)
        assert observe(faithful, milvus, wanted=()).aliases[alias] == other
        milvus.drop_alias(alias)
        assert alias not in observe(faithful, milvus, wanted=()).aliases
    finally:
        if milvus.alias_owner(alias):
            milvus.drop_alias(alias)
        milvus.drop_collection(other)


def test_a_catalog_that_cannot_be_read_is_told_and_the_rest_is_there(
    faithful: LoadedSpec, milvus: MilvusServer
) -> None:
    Path(faithful.file.parent / "backups").write_text("a file where a directory should be")
    snapshot = observe(faithful, milvus, wanted=())
    assert snapshot.backups is None
    assert "backups" in snapshot.backups_error
    assert snapshot.collections


def test_status_on_one_screen(
    faithful: LoadedSpec, milvus: MilvusServer, capsys: pytest.CaptureFixture[str]
) -> None:
    name = faithful.spec.collections[0].name
    arguments = ["status", "--spec", str(faithful.file)]
    assert run(cli, arguments, "kitestring") == 0
    text = capsys.readouterr().out
    assert milvus.uri in text
    assert MODEL in text
    assert "HNSW on embedding" in text
    assert "loaded, 1 replica" in text
    assert f"{faithful.spec.collections[0].aliases[0]} → {name}" in text

    assert run(cli, [*arguments, "-o", "json"], "kitestring") == 0
    facts = json.loads(capsys.readouterr().out)
    found = next(c for c in facts["collections"] if c["name"] == name)
    assert found["rows"]["counted"] == ROWS
    assert facts["newest_backup"] is None
    assert facts["objectives"]["rto_seconds"] == 600
