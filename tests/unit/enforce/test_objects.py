"""One object kept as wanted, on a server in memory."""

from __future__ import annotations

import pytest

from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.enforce.composed import keep_collection, keep_role
from kitestring.enforce.objects import keep_object
from kitestring.errors import AuthenticationFailed, EnforceRefused, UsageError
from tests.unit.objects.support import MemorySession

FIELDS = [
    {"name": "id", "type": "INT64", "primary": True},
    {"name": "v", "type": "FLOAT_VECTOR", "dim": 4},
]
INDEX = {"collection": "more", "field": "v", "type": "FLAT", "metric": "L2"}


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


@pytest.fixture
def session(cluster):
    return MemorySession(cluster, {"APP": "secret-of-app"})


@pytest.fixture
def keep(spec_from, session):
    """Keeps an object on the server in memory: `keep("alias", {…}, dry_run=True)`."""
    loaded = spec_from()

    def call(kind, named, **options):
        return keep_object(loaded, kind, named, session=session, **options)

    return call


STEPS = [
    ("database", {"name": "other"}, None),
    (
        "collection",
        {"name": "made", "fields": FIELDS},
        {"name": "made", "properties": {"collection.ttl.seconds": "60"}},
    ),
    ("index", INDEX, {**INDEX, "metric": "IP"}),
    ("alias", {"name": "a", "collection": "more"}, {"name": "a", "collection": "most"}),
    ("role", {"name": "reader"}, None),
]


@pytest.mark.parametrize(("kind", "first", "second"), STEPS, ids=[s[0] for s in STEPS])
def test_create_change_delete_each_foretold_done_and_done_again(keep, kind, first, second):
    for name in ("more", "most"):
        keep("collection", {"name": name, "fields": FIELDS})
    for named, present in ((first, True), (second, True), (first, False)):
        if named is None:
            continue
        told = keep(kind, named, present=present, dry_run=True)
        assert told.changed
        done = keep(kind, named, present=present)
        assert (done.before, done.after, done.differences) == (
            told.before,
            told.after,
            told.differences,
        )
        assert (done.after is not None) is present
        again = keep(kind, named, present=present)
        assert not again.changed
        assert again.before == again.after


def test_what_nobody_names_is_the_specs_or_left_alone(keep, spec_from, session):
    loaded = spec_from()
    name = loaded.spec.collections[0].name
    made = keep("collection", {"name": name})
    assert {f["name"] for f in made.after["fields"]} >= {"id", "embedding", "text"}
    keep("collection", {"name": "own", "fields": FIELDS, "properties": {"a": "1"}})
    kept = keep("collection", {"name": "own", "properties": {"b": "2"}})
    assert kept.differences == ("properties.b is not set, not 2",)
    info = session.server().describe("own")
    assert info.properties == {"a": "1", "b": "2"}
    assert len(info.schema.fields) == 2


def test_rows_are_not_lost_unless_it_is_said(keep, session):
    keep("collection", {"name": "full", "fields": FIELDS})
    server = session.server()
    session.cluster.rows["default", "full", "_default"] = 1
    wider = {"name": "full", "fields": [FIELDS[0], {**FIELDS[1], "dim": 8}]}
    for named, options in ((wider, {}), ({"name": "full"}, {"present": False})):
        for dry_run in (True, False):
            with pytest.raises(EnforceRefused, match="holds 1 rows") as refused:
                keep("collection", named, dry_run=dry_run, **options)
            assert "allow_data_loss" in refused.value.hint
    assert server.describe("full").schema.field("v").dim == 4
    kept = keep("collection", wider, allow_data_loss=True)
    assert kept.changed
    assert server.describe("full").schema.field("v").dim == 8


def test_wrong_values_are_named(keep):
    with pytest.raises(UsageError, match=r"`fields`: dim"):
        keep("collection", {"name": "x", "fields": [{**FIELDS[1], "dim": 0}]})
    with pytest.raises(UsageError, match="primary key"):
        keep("collection", {"name": "x"})
    with pytest.raises(UsageError, match="collection"):
        keep("alias", {"name": "x"})
    with pytest.raises(UsageError, match="always there"):
        keep("role", {"name": "admin"})


def test_a_collection_is_kept_with_its_partitions_and_load_state(spec_from, session):
    loaded = spec_from()

    def kept(**more):
        named = {"name": "c", "fields": FIELDS}
        return keep_collection(loaded, named, session=session, **more)

    assert kept(partitions=["p"]).after["partitions"] == ["p"]
    keep_object(loaded, "index", {**INDEX, "collection": "c"}, session=session)
    loading = kept(partitions=["p"], in_memory=True, replicas=1)
    assert loading.differences == ("load state default/c: loaded is false, not true",)
    assert not kept(partitions=["p"], in_memory=True).changed
    assert kept(in_memory=False).after["loaded"] is False


def test_a_role_may_do_what_is_named_and_nothing_else(spec_from, session):
    loaded = spec_from()
    grants = [{"object": "Collection", "name": "*", "privileges": ["Search", "Query"]}]
    told = keep_role(loaded, "reader", grants, session=session, dry_run=True)
    assert told.changed
    assert "reader" not in session.server().admin.list_roles()
    keep_role(loaded, "reader", grants, session=session)
    assert not keep_role(loaded, "reader", grants, session=session).changed
    assert not keep_role(loaded, "reader", None, session=session).changed
    fewer = [{**grants[0], "privileges": ["Search"]}]
    narrowed = keep_role(loaded, "reader", fewer, session=session)
    assert any("Query" in d for d in narrowed.differences)
    assert {p.privilege for p in session.server().admin.privileges("reader")} == {"Search"}
    assert keep_role(loaded, "reader", None, present=False, session=session).after is None
    assert "reader" not in session.server().admin.list_roles()


def test_a_password_is_kept_and_never_shown(keep, session):
    session.passwords["given"] = "first-password"
    first = keep("user", {"name": "app"}, password="first-password")
    assert "first-password" not in str(first)
    assert not keep("user", {"name": "app"}, password="first-password").changed
    session.passwords["given"] = "second-password"
    left = keep("user", {"name": "app"}, password="second-password", keep=["password"])
    assert not left.changed
    with pytest.raises(AuthenticationFailed):
        session.cluster.connect(token="app:second-password")
