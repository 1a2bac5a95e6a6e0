"""Configuration drift, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.model.database import DatabaseSeen
from kitestring.observe.database import probe_database

STRONG = ("    load: {loaded: true", "    consistency: Strong\n    load: {loaded: true")
DATABASE = ("objectives:", 'database: {properties: {database.max.collections: "9"}}\nobjectives:')
NO_TTL = ('    properties: {collection.ttl.seconds: "0"}\n', "")
TTL = "collection.ttl.seconds"


def found(check, loaded, snapshot):
    return [
        (f.severity.value, f.inconclusive, f.expected, f.observed)
        for f in BY_ID[check].run(loaded, snapshot)
    ]


@pytest.mark.parametrize(("ttl", "told"), [("3600", 1), ("0", 0), ("-1", 0), (None, 0)])
def test_rows_that_expire(spec_from, with_docs, ttl, told):
    snapshot = with_docs(properties={} if ttl is None else {TTL: ttl})
    expected = [("fail", False, "no expiry", "3600 s")] * told
    assert found("config.expiry", spec_from(NO_TTL), snapshot) == expected
    assert found("config.expiry", spec_from(), snapshot) == []  # schema.drift compares it


def test_other_properties_are_told(spec_from, clean, with_docs):
    assert found("config.unmanaged", spec_from(), clean) == []
    snapshot = with_docs(properties={TTL: "0", "mmap.enabled": "true"})
    assert found("config.unmanaged", spec_from(), snapshot) == [
        ("info", False, "none", "mmap.enabled=true")
    ]


def test_consistency(spec_from, clean, with_docs):
    assert "consistency" in BY_ID["config.consistency"].unasked(spec_from())
    loaded = spec_from(STRONG)
    assert found("config.consistency", loaded, clean) == [("fail", False, "Strong", "Bounded")]
    assert found("config.consistency", loaded, with_docs(consistency="Strong")) == []
    assert found("config.consistency", loaded, with_docs(consistency="")) == [
        ("warn", True, "Strong", "not known")
    ]


def test_the_database(spec_from, clean):
    assert "no `database`" in BY_ID["config.database"].unasked(spec_from())
    loaded = spec_from(DATABASE)

    def told(properties, reason=""):
        seen = DatabaseSeen("default", properties, reason)
        return found("config.database", loaded, replace(clean, database=seen))

    assert told({"database.max.collections": "9", "more": "1"}) == []
    assert told({}) == [("fail", False, "9", "not set")]
    assert [one[1] for one in told(None, "too old")] == [True]
    assert [one[1] for one in found("config.database", loaded, clean)] == [True]


def test_what_servers_say_of_a_database(spec_from, clean):
    loaded = spec_from(DATABASE)
    old = MemoryCluster()
    seen = probe_database(loaded, old.connect(), clean).database
    assert (seen.properties, seen.reason) == (None, "Milvus 2.3.5 can't tell them")
    new = MemoryCluster(server_version="2.5.4")
    new.properties["default"] = {"database.max.collections": "9"}
    assert probe_database(loaded, new.connect(), clean).database.properties == {
        "database.max.collections": "9"
    }
    assert probe_database(spec_from(), new.connect(), clean).database is None
