"""Users and grants of a real server with authorization: read back, and tried."""

from __future__ import annotations

import pytest
import yaml

from kitestring.clients.milvus.client import MilvusServer, wait_until
from kitestring.drift import detect
from kitestring.local import running
from kitestring.model.access import Privilege
from kitestring.spec.load import load
from kitestring.spec.schema import collection_schema, wanted_index
from tests.integration.conftest import INDEX, MODEL

pytestmark = pytest.mark.server

ROOT = "root:Milvus"


def collection(tenant, **isolation):
    return {
        "name": f"docs_{tenant}",
        "model": "hashing-word@1",
        "indexes": [dict(INDEX)],
        "tenancy": "collection",
        "isolation": {"tenant": tenant, **isolation},
    }


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    with running(folder / "milvus", timeout=120, authorization=True) as state:
        yield folder, state.uri


def test_grants_and_what_they_let_through(guarded, monkeypatch):
    folder, uri = guarded
    monkeypatch.setenv("KITE_ROOT", ROOT)
    monkeypatch.setenv("KITE_ANN", "Ann-secret-1")
    document = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {"uri": uri, "token": {"env": "KITE_ROOT"}, "timeout": "20s"},
        "state": "state",
        "models": [dict(MODEL)],
        "collections": [collection("acme", users=["ann"]), collection("globex")],
        "access": {
            "roles": [{"name": "acme", "grants": [{"name": "docs_acme", "privileges": ["Query"]}]}],
            "users": [{"name": "ann", "password": {"env": "KITE_ANN"}, "roles": ["acme"]}],
        },
    }
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(document))
    loaded = load(file)

    def found():
        report = detect(loaded, only=["access", "tenancy.access"])
        return {f.check: f.observed for f in report.findings}, report.exit_code

    with MilvusServer(uri, token=ROOT, timeout=20) as server:
        for spec in loaded.spec.collections:
            server.create_collection(spec.name, collection_schema(loaded.spec, spec))
            server.create_index(spec.name, wanted_index(spec.indexes[0]), wait=True)
            server.load(spec.name)
        told, code = found()
        assert told["access.missing"] == "absent"
        assert code == 2

        admin = server.admin
        admin.create_role("acme")
        admin.grant("acme", Privilege("Collection", "docs_acme", "Query"))
        admin.create_user("ann", "Ann-secret-1")
        admin.give_role("ann", "acme")
        # proxies are told of grants a moment later
        wait_until(lambda: found() == ({}, 0), timeout=30, what="the grants")

        admin.grant("acme", Privilege("Collection", "*", "Query"))
        admin.create_user("eve", "Eve-secret-1")
        expected = {
            "access.extra": "there",
            "access.widened": "Query on Collection *",
            "tenancy.access": "rows were counted",
        }
        wait_until(lambda: found() == (expected, 2), timeout=30, what="the wider grant")

        # the same tenant with a database of its own: others are tried by name
        admin.create_database("globex")
        with MilvusServer(uri, token=ROOT, database="globex", timeout=20) as other:
            spec = loaded.spec.collections[1]
            other.create_collection("letters", collection_schema(loaded.spec, spec))
            other.create_index("letters", wanted_index(spec.indexes[0]), wait=True)
            other.load("letters")
        document["collections"][0]["tenancy"] = "database"
        file.write_text(yaml.safe_dump(document))
        loaded = load(file)
        report = detect(loaded, only=["tenancy.access"])
        seen = report.snapshot.collections["docs_acme"].isolation
        assert (seen.refused, seen.opened, seen.access_reason) == (1, (), "")
        assert report.exit_code == 0
