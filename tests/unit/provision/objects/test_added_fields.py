"""A field that may be null is added in place; rows are not given up for it."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.objects.kinds import KINDS
from kitestring.provision.objects.lifecycle import Diff, check, create, diff, update

from .conftest import MemorySession

COLLECTION = KINDS["collection"]
OLD: dict[str, Any] = {
    "connection": {"uri": "http://127.0.0.1:1"},
    "database": "default",
    "name": "docs",
    "fields": [
        {"name": "id", "type": "INT64", "primary": True},
        {"name": "v", "type": "FLOAT_VECTOR", "dim": 4},
    ],
    "dynamic": False,
    "shards": 1,
}
LANG = {"name": "lang", "type": "VARCHAR", "max_length": 16, "nullable": True}
NEW = {**OLD, "fields": [*OLD["fields"], LANG]}


@pytest.mark.parametrize("version", ["2.6.4", "2.3.5"])
def test_a_field_is_added_or_the_preview_says_why_not(version: str) -> None:
    cluster = MemoryCluster(server_version=version)
    session = MemorySession(cluster)
    create(COLLECTION, session, OLD)
    assert diff(COLLECTION, OLD, NEW) == Diff(True, ())
    wanted, problems = check(COLLECTION, session, OLD, NEW)
    if version == "2.3.5":
        ((_, why),) = problems
        assert "Milvus 2.3.5, which can't add a field" in why
        return
    assert problems == []
    cluster.calls.clear()
    update(COLLECTION, session, OLD, wanted)
    assert cluster.calls == [("add_field", "docs", "lang")]
    assert diff(COLLECTION, wanted, NEW) == Diff(False, ())


def test_one_that_every_row_must_have_replaces() -> None:
    strict = {**OLD, "fields": [*OLD["fields"], {**LANG, "nullable": False}]}
    assert diff(COLLECTION, OLD, strict) == Diff(True, ("fields",))
