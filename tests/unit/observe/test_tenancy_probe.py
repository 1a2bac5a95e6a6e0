"""A server that does not keep its tenants apart: what it gives away is found and named."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from kitestring.checks.registry import BY_ID
from kitestring.clients.milvus.protocol import Hit
from kitestring.observe.tenancy import probe_tenancy

ASKED = (
    "    load: {loaded: true",
    "    tenancy: field\n    isolation: {canaries: 2}\n    load: {loaded: true",
)
OWNERS = {"k1": "acme", "k2": "acme", "k3": "globex"}


class Server:
    """Three rows of two tenants; where it leaks, it does not look at filters."""

    def __init__(self, leaks):
        self.leaks = leaks
        self.columnar = self

    def count(self, name):
        return len(OWNERS)

    def scan(self, name, columns):
        yield pa.RecordBatch.from_pydict({"id": list(OWNERS), "tenant_id": list(OWNERS.values())})

    def get(self, name, keys, columns):
        return [{"id": key, "embedding": [1.0] * 8} for key in keys]

    def _seen(self, filter):
        return [k for k, t in OWNERS.items() if self.leaks or f'tenant_id == "{t}"' in filter]

    def page(self, name, schema, columns, expression, **_):
        keys = [key for key in self._seen(expression) if f'"{key}"' in expression]
        return pa.RecordBatch.from_pydict({"id": pa.array(keys, pa.string())})

    def search(self, name, vectors, *, filter, **_):
        hits = [Hit(key, 1.0, {"tenant_id": OWNERS[key]}) for key in self._seen(filter)]
        return [hits for _ in vectors]


@pytest.fixture
def seen(spec_from, clean):
    def look(leaks):
        loaded = spec_from(ASKED)
        snapshot = probe_tenancy(loaded, Server(leaks), clean)
        findings = BY_ID["tenancy.isolation"].run(loaded, snapshot)
        return snapshot.collections["docs"].isolation, [f.message for f in findings]

    return look


def test_a_server_that_heeds_filters(seen):
    found, told = seen(False)
    assert (dict(found.tenants), found.canaries, found.reason) == ({"acme": 2, "globex": 1}, 3, "")
    assert found.questions == 2 + 3  # a query as each of two, a search for each other's canary
    assert told == []


def test_a_server_that_does_not(seen):
    found, told = seen(True)
    assert {(leak.asker, leak.owner, leak.way, leak.rows.count) for leak in found.leaks} == {
        ("acme", "globex", "a query", 1),
        ("acme", "globex", "a search", 1),
        ("globex", "acme", "a query", 2),
        ("globex", "acme", "a search", 2),
    }
    assert len(told) == 4
    assert "k3" in told[0]


def test_one_tenant_proves_nothing(seen, monkeypatch):
    monkeypatch.delitem(OWNERS, "k3")
    found, told = seen(False)
    assert "no two tenants" in found.reason
    assert len(told) == 1


def test_a_collection_that_is_not_loaded(spec_from, clean):
    docs = clean.collections["docs"]
    away = replace(docs, info=replace(docs.info, load_state="NotLoad"))
    snapshot = replace(clean, collections={"docs": away})
    found = probe_tenancy(spec_from(ASKED), Server(False), snapshot).collections["docs"].isolation
    assert found.reason == "the collection is not loaded"
