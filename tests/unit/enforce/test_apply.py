"""Carrying plans out: order, idempotence, and what happens when the server refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.enforce.apply import apply
from kitestring.enforce.plan import plan
from kitestring.errors import EnforceError, MilvusError
from kitestring.model.action import Action
from kitestring.model.collection import Index, IndexState

WEAK = Index("embedding", "embedding", "HNSW", "COSINE", {"M": "4", "efConstruction": "16"})


def test_a_collection_is_made_and_a_second_run_does_nothing(spec_from, clean, memory):
    loaded, server = spec_from(), memory()
    actions = plan(loaded, replace(clean, collections={}, aliases={})).actions
    assert apply(loaded, server, actions) == list(actions)
    assert server.calls == ["create docs", "index docs HNSW", "load docs 1", "alias current docs"]
    assert apply(loaded, server, actions) == []
    assert len(server.calls) == 4


def test_an_index_is_rebuilt_with_the_replicas_there_were(spec_from, with_docs, memory):
    loaded = spec_from(("replicas: 1", "replicas: 2"))
    snapshot = with_docs(indexes=(IndexState(WEAK, 1, 1, 0, "Finished"),))
    server = memory({"docs": snapshot.collections["docs"].info}, nodes=2)
    apply(loaded, server, plan(loaded, snapshot).actions)
    assert server.calls == [
        "release docs",
        "drop index docs",
        "index docs HNSW",
        "load docs 1",
        "release docs",
        "load docs 2",
    ]
    assert server.describe("docs").indexes[0].index.params["M"] == "16"


def test_an_index_that_the_server_refuses_leaves_the_old_one(spec_from, with_docs, memory):
    old = replace(WEAK, type="FLAT")
    loaded = spec_from()
    snapshot = with_docs(indexes=(IndexState(old, 1, 1, 0, "Finished"),))
    server = memory({"docs": snapshot.collections["docs"].info}, refused_types=("HNSW",))
    with pytest.raises(MilvusError, match=r"the old one .* is back"):
        apply(loaded, server, plan(loaded, snapshot).actions)
    info = server.describe("docs")
    assert info.indexes[0].index == old
    assert info.loaded


def test_replicas_that_do_not_fit_leave_it_loaded_as_before(spec_from, clean, memory):
    loaded = spec_from(("replicas: 1", "replicas: 3"))
    server = memory({"docs": clean.collections["docs"].info}, nodes=1)
    with pytest.raises(MilvusError, match="loaded with 1 again"):
        apply(loaded, server, plan(loaded, clean).actions)
    info = server.describe("docs")
    assert (info.load_state, info.replicas) == ("Loaded", 1)


def test_an_alias_stays_when_the_collection_was_released_meanwhile(spec_from, with_docs, memory):
    loaded = spec_from()
    info = with_docs(load_state="NotLoad", replicas=0).collections["docs"].info
    server = memory({"docs": info}, {"current": "older"})
    move = Action("move-alias", "test/docs/alias/current", "", "older", "docs")
    with pytest.raises(EnforceError, match="stays with `older`"):
        apply(loaded, server, [move])
    assert server.alias_of == {"current": "older"}


def test_what_came_right_by_itself_is_not_told_as_done(spec_from, clean, memory):
    server = memory({"docs": clean.collections["docs"].info}, {"current": "docs"})
    subject = "test/docs"
    actions = [
        Action("create-collection", subject, "", "", ""),
        Action("rebuild-index", f"{subject}/index/embedding", "", "", ""),
        Action("load", subject, "", "", ""),
        Action("set-replicas", subject, "", "", ""),
        Action("move-alias", f"{subject}/alias/current", "", "", ""),
    ]
    assert apply(spec_from(), server, actions) == []
    assert server.calls == []


@pytest.mark.parametrize(
    "action",
    [
        Action("explode", "test/docs", "", "", ""),
        Action("load", "test/nothing", "", "", ""),
        Action("create-index", "test/docs/index/text", "", "", ""),
    ],
)
def test_a_step_that_the_spec_does_not_have_is_an_error(spec_from, clean, memory, action):
    server = memory({"docs": clean.collections["docs"].info})
    with pytest.raises(EnforceError):
        apply(spec_from(), server, [action])
    assert server.calls == []
