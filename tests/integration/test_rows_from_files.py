"""Rows read from a real server's own files: without a query, and with nothing told too early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitestring.clients.milvus.client import MilvusServer
from kitestring.ingest.ledger import open_ledger
from kitestring.model.ledger import LedgerRow
from kitestring.model.snapshot import RowCensus, Tally
from kitestring.observe import census as census_module
from kitestring.observe import observe
from kitestring.observe.reading import Reading
from kitestring.spec.loaded import LoadedSpec

pytestmark = pytest.mark.server

ROWS = 300
STRANGE = ["", 'quo"ted', "back\\slash", "new\nline", "tab\t", "é", "'"]
KEYS = sorted([*STRANGE, *(f"key{n:04}" for n in range(ROWS - len(STRANGE)))])
CHUNKER, MODEL = "sentence/200/20/1", "hashing-word@1"
FILES = Reading("segments")
SpecFor = Callable[..., LoadedSpec]
COLUMNS = [
    {"name": "id", "type": "VARCHAR", "max_length": 64, "primary": True},
    {"name": "embedding", "type": "FLOAT_VECTOR", "dim": 64},
    {"name": "tenant_id", "type": "VARCHAR", "max_length": 64},
    *(
        {"name": name, "type": "VARCHAR", "max_length": 256}
        for name in ("doc_id", "text", "content_hash", "embedding_model", "chunker")
    ),
    {"name": "chunk_index", "type": "INT64"},
    {"name": "last_embedded_at", "type": "INT64"},
]


class Watched:
    """A server whose queries are counted: the calls that query nodes answer."""

    def __init__(self, milvus: MilvusServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queries: list[str] = []
        real = milvus._call

        def call(method: str, request: Any, *, timeout: float | None = None) -> Any:
            if method in ("Query", "Search"):
                self.queries.append(request.expr)
            return real(method, request, timeout=timeout)

        monkeypatch.setattr(milvus, "_call", call)


def a_row(key: str | int, **other: Any) -> dict[str, Any]:
    return {
        "id": key,
        "embedding": [float(len(str(key)) + n % 5) for n in range(64)],
        "tenant_id": "one",
        "doc_id": "doc",
        "chunk_index": 0,
        "text": "a passage",
        "content_hash": f"hash of {key}",
        "embedding_model": MODEL,
        "chunker": CHUNKER,
        "last_embedded_at": 1000,
        **other,
    }


def filled(loaded: LoadedSpec, milvus: MilvusServer, keys: list[Any]) -> str:
    """Makes the spec's collection with rows and their ledger; flushed and loaded."""
    from kitestring.spec.schema import collection_schema, wanted_index

    collection = loaded.spec.collections[0]
    name = collection.name
    milvus.create_collection(name, collection_schema(loaded.spec, collection), shards=2)
    milvus.insert(name, [a_row(key) for key in keys])
    milvus.flush(name)
    milvus.create_index(name, wanted_index(collection.indexes[0]))
    milvus.load(name)
    with open_ledger(loaded) as ledger, ledger.run(name) as hold:
        ledger.bind(hold, milvus.describe(name).id)
        ledger.enter(
            hold, "one",
            [LedgerRow(str(k), "doc", 0, f"hash of {k}", MODEL, CHUNKER, 1000) for k in keys],
        )  # fmt: skip
    return name


@pytest.fixture
def faithful(spec_for: SpecFor, milvus: MilvusServer, unique: Callable[[str], str]) -> LoadedSpec:
    loaded = spec_for({"name": unique("c"), "columns": COLUMNS})
    filled(loaded, milvus, KEYS)
    return loaded


def census_of(loaded: LoadedSpec, milvus: MilvusServer, how: Reading = FILES) -> RowCensus:
    census = (
        observe(loaded, milvus, reading=how).collections[loaded.spec.collections[0].name].census
    )
    assert census is not None
    return census


def test_files_alone_are_read_and_both_paths_find_the_same_faults(
    faithful: LoadedSpec, milvus: MilvusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(milvus, monkeypatch)
    census = census_of(faithful, milvus, Reading("segments", "serial"))
    others = census_of(faithful, milvus, Reading("segments", "pool"))
    assert watched.queries == []
    assert replace(others, seconds=0, watermark=0, note="") == replace(
        census, seconds=0, watermark=0, note=""
    )
    assert (census.path, census.complete, census.reason) == ("segments", True, "")
    assert (census.rows_read, census.distinct_keys, census.ledger_rows) == (ROWS, ROWS, ROWS)
    assert (census.missing, census.orphan, census.stale, census.duplicate) == (Tally(),) * 4
    assert census.models == {MODEL: ROWS}
    assert census.chunkers == {CHUNKER: ROWS}
    assert census.watermark

    name = faithful.spec.collections[0].name
    milvus.delete(name, KEYS[:3])
    milvus.upsert(name, [a_row(KEYS[10], content_hash="another")])
    milvus.upsert(name, [a_row(KEYS[20], embedding_model="other@9")])
    milvus.insert(name, [a_row('orphan "\n', chunker="")])
    milvus.insert(name, [a_row(key) for key in (KEYS[40], KEYS[41])])
    milvus.insert(name, [a_row("copy", content_hash=f"hash of {KEYS[50]}")])
    milvus.insert(name, [a_row("not one", content_hash=f"hash of {KEYS[51]}", tenant_id="two")])
    milvus.flush(name)
    found = {how: census_of(faithful, milvus, Reading(how)) for how in ("segments", "api")}
    for census in found.values():
        assert census.complete, census.reason
        assert census.missing == Tally(3, tuple(KEYS[:3]))
        assert census.orphan == Tally(3, ("copy", "not one", 'orphan "\n'))
        assert census.stale == Tally(1, (KEYS[10],))
        assert census.duplicate.count == 2
        assert set(census.duplicate.examples) == {KEYS[40], KEYS[41]}
        assert census.duplicate_content is not None
        assert census.duplicate_content.count == 1
        assert set(census.duplicate_content.examples) <= {"copy", KEYS[50]}
        assert census.model_examples["other@9"] == (KEYS[20],)
        assert census.chunker_examples[""] == ('orphan "\n',)
    assert (found["segments"].path, found["api"].path) == ("segments", "api")


def test_writes_that_are_not_flushed_are_no_faults(
    faithful: LoadedSpec, milvus: MilvusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an ingestion leaves them: in the ledger and in the store, not in the files."""
    name = faithful.spec.collections[0].name
    monkeypatch.setattr(census_module, "SMALL", 100)
    assert census_of(faithful, milvus, Reading("auto")).path == "segments"
    milvus.delete(name, KEYS[:2])
    milvus.upsert(name, [a_row(KEYS[10], content_hash="newer")])
    milvus.insert(name, [a_row("new")])
    with open_ledger(faithful) as ledger, ledger.run(name) as hold:
        ledger.forget(hold, KEYS[:2])
        ledger.enter(
            hold, "one",
            [
                LedgerRow(KEYS[10], "doc", 0, "newer", MODEL, CHUNKER, 1000),
                LedgerRow("new", "doc", 0, "hash of new", MODEL, CHUNKER, 1000),
            ],
        )  # fmt: skip
    census = census_of(faithful, milvus)
    assert census.complete, census.reason
    assert (census.missing, census.orphan, census.stale) == (Tally(),) * 3
    assert "are not in the files" in census.note
    # a fault beside them is told all the same
    with open_ledger(faithful) as ledger, ledger.run(name) as hold:
        ledger.forget(hold, KEYS[5:6])
    assert census_of(faithful, milvus).orphan == Tally(1, (KEYS[5],))
    # files that are behind are not relied on: the API tells all, unless that is a lot
    census = census_of(faithful, milvus, Reading("auto"))
    assert (census.path, census.complete) == ("api", True)
    assert f"hold {ROWS} rows and the server {ROWS - 1}" in census.note
    assert census.orphan == Tally(1, (KEYS[5],))
    monkeypatch.setattr(census_module, "LARGE", 100)
    census = census_of(faithful, milvus, Reading("auto"))
    assert (census.path, census.complete) == ("segments", False)
    assert census.orphan == Tally(1, (KEYS[5],))


def test_a_store_that_is_away_is_told(
    spec_for: SpecFor, milvus: MilvusServer, unique: Callable[[str], str], tmp_path: Path
) -> None:
    away = {"type": "local", "path": str(tmp_path / "away")}
    loaded = spec_for({"name": unique("c"), "columns": COLUMNS}, storage=away)
    filled(loaded, milvus, KEYS)
    census = census_of(loaded, milvus, Reading("auto"))
    assert (census.path, census.complete) == ("api", True)
    assert "could not be read" in census.note


def test_extreme_numbers_are_keys(
    spec_for: SpecFor, milvus: MilvusServer, unique: Callable[[str], str]
) -> None:
    columns = [{"name": "id", "type": "INT64", "primary": True}, *COLUMNS[1:]]
    loaded = spec_for({"name": unique("c"), "columns": columns})
    keys = [-(2**63), -1, 0, 1, 2**63 - 1]
    name = filled(loaded, milvus, keys)
    census = census_of(loaded, milvus)
    assert census.complete, census.reason
    assert (census.rows_read, census.missing, census.orphan) == (5, Tally(), Tally())
    # the server never gives the largest number to a query: what can't be read is not clean
    assert not census_of(loaded, milvus, Reading("api")).complete
    census = census_of(loaded, milvus, Reading("auto"))
    assert (census.path, census.complete, census.rows_read) == ("segments", True, 5)
    milvus.release(name)
    assert census_of(loaded, milvus).complete  # files need nothing loaded
    milvus.load(name)
    with open_ledger(loaded) as ledger, ledger.run(name) as hold:
        ledger.forget(hold, [str(keys[0])])
    assert census_of(loaded, milvus).orphan == Tally(1, (str(keys[0]),))
