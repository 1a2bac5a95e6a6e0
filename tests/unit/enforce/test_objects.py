"""One object kept as wanted, on a server in memory."""

from __future__ import annotations

import pytest

from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.enforce.composed import keep_collection, keep_role
from kitestring.enforce.objects import keep_object
from kitestring.errors import (
    AuthenticationFailed,
    EnforceRefused,
    MilvusError,
    ProvisionRefused,
    UsageError,
)
from kitestring.model.access import Privilege
from tests.unit.objects.support import MemorySession

FIELDS = [
    {"name": "id", "type": "INT64", "primary": True},
    {"name": "v", "type": "FLOAT_VECTOR", "dim": 4},
]
GRANT = {"object": "Collection", "name": "*", "privileges": ["Search"]}
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
    for named, present in ((first, True), (second, True), (second or first, False)):
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


def test_an_alias_that_leads_elsewhere_is_not_the_one_to_drop(keep, session):
    for name in ("more", "most"):
        keep("collection", {"name": name, "fields": FIELDS})
    keep("alias", {"name": "a", "collection": "most"})
    for dry_run in (True, False):
        kept = keep("alias", {"name": "a", "collection": "more"}, present=False, dry_run=dry_run)
        assert not kept.changed
        assert kept.warnings == ("`a` leads to `most`, not to `more`: it is left",)
    assert session.server().alias_owner("a") == "most"
    assert keep("alias", {"name": "a"}, present=False).changed
    assert session.server().alias_owner("a") is None


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
    with pytest.raises(UsageError, match="nothing says its `fields`"):
        keep("collection", {"name": "x"})
    with pytest.raises(UsageError, match="primary key"):
        keep("collection", {"name": "x", "fields": FIELDS[1:]})
    with pytest.raises(UsageError, match="`shards`: it has to be 1 or more"):
        keep("collection", {"name": "x", "fields": FIELDS, "shards": 0})
    with pytest.raises(UsageError, match="nothing says its `password`"):
        keep("user", {"name": "x"})
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


def test_what_is_made_of_several_is_foretold_as_it_becomes(spec_from, session):
    """Of one that was not there nothing was there before, and check mode says so too."""
    loaded = spec_from(
        ("objectives:", f"access: {{roles: [{{name: reader, grants: [{GRANT}]}}]}}\nobjectives:")
    )

    def both(keep, *arguments, **more):
        told = keep(loaded, *arguments, session=session, dry_run=True, **more)
        return told, keep(loaded, *arguments, session=session, **more)

    for name, grants in (("reader", None), ("own", [GRANT]), ("may nothing", None)):
        told, done = both(keep_role, name, grants)
        assert told == done
        assert (done.before, done.differences) == (None, ("it was not there",))
        assert done.after["grants"] == ([] if name == "may nothing" else [GRANT])
        told, done = both(keep_role, name, grants, present=False)
        assert (told, done.after) == (done, None)
        assert done.identity == name
    told, done = both(
        keep_collection, {"name": "c", "fields": FIELDS}, partitions=["p"], in_memory=False
    )
    assert told == done
    assert done.before is None


def test_replicas_of_what_is_not_to_be_loaded_are_refused(spec_from, session):
    with pytest.raises(UsageError, match="2 replicas and not be loaded"):
        keep_collection(
            spec_from(),
            {"name": "c", "fields": FIELDS},
            in_memory=False,
            replicas=2,
            session=session,
        )
    assert not session.server().has_collection("c")


def test_a_user_stays_whole_when_the_server_refuses_what_is_wanted_of_it(keep, session):
    session.passwords["given"] = "first-password"
    session.server().admin.create_role("reader")
    keep("user", {"name": "app", "roles": ["reader"]}, password="first-password")

    session.passwords["given"] = "short"
    with pytest.raises(MilvusError, match="password length"):
        keep("user", {"name": "app"}, password="short")
    session.passwords["given"] = "second-password"
    with pytest.raises(ProvisionRefused, match="no role `writer`"):
        keep("user", {"name": "app", "roles": ["writer"]}, password="second-password")
    assert session.server().admin.roles_of("app") == ("reader",)
    session.cluster.connect(token="app:first-password")  # raises where it is another

    with pytest.raises(ProvisionRefused, match="no role `writer`"):
        keep("user", {"name": "new", "roles": ["writer"]}, password="second-password")
    assert "new" not in session.server().admin.list_users()
    assert keep("user", {"name": "app"}, password="second-password").changed
    session.cluster.connect(token="app:second-password")


NOT_THERE = [
    ("index", INDEX, "no collection `more`"),
    ("alias", {"name": "a", "collection": "more"}, "no collection `more`"),
    ("load state", {"collection": "more", "loaded": True}, "no collection `more`"),
    ("partition", {"collection": "more", "name": "p"}, "no collection `more`"),
    ("collection", {"name": "c", "database": "no", "fields": FIELDS}, "no database `no`"),
    ("grant", {"database": "no", "role": "r", "grants": [GRANT]}, "no database `no`"),
    ("user", {"name": "app", "roles": ["r"]}, "no role `r`"),
    ("collection", {"name": "c"}, "nothing says its `fields`"),
]


@pytest.mark.parametrize(("kind", "named", "said"), NOT_THERE)
def test_what_has_to_be_there_before_is_a_warning_of_a_dry_run(keep, session, kind, named, said):
    """In check mode of a whole play, what an earlier task would make is not there."""
    session.passwords["given"] = "first-password"
    more = {"password": "first-password"} if kind == "user" else {}
    told = keep(kind, named, dry_run=True, **more)
    assert told.changed
    assert said in told.warnings[0]
    session.cluster.calls.clear()
    with pytest.raises((ProvisionRefused, UsageError), match=said):
        keep(kind, named, **more)
    assert session.cluster.calls == []


def test_a_collection_is_not_made_to_be_loaded_without_an_index(keep, spec_from, session):
    loaded, named = spec_from(), {"name": "c", "fields": FIELDS}
    told = keep_collection(loaded, named, in_memory=True, session=session, dry_run=True)
    assert told.warnings == ("`c` has no index yet: it can't be loaded",)
    with pytest.raises(ProvisionRefused, match="no index yet"):
        keep_collection(loaded, named, in_memory=True, session=session)
    assert not session.server().has_collection("c")
    keep("collection", named)
    loading = {"collection": "c", "loaded": True, "replicas": 1}
    assert keep("load state", loading, dry_run=True).warnings
    with pytest.raises(ProvisionRefused, match="no index yet"):
        keep_collection(loaded, named, in_memory=True, session=session)


def test_what_is_always_there_is_never_dropped_nor_its_rights(keep, spec_from, session):
    admin = session.server().admin
    admin.create_role("admin")
    admin.grant("admin", Privilege("Global", "*", "All"))
    for dry_run in (True, False):
        with pytest.raises(UsageError, match="`admin` is always there"):
            keep_role(spec_from(), "admin", None, present=False, session=session, dry_run=dry_run)
        with pytest.raises(UsageError, match="`default` is always there"):
            keep("database", {"name": "default"}, present=False, dry_run=dry_run)
    assert len(admin.privileges("admin")) == 1


def test_a_role_whose_rights_the_server_refuses_is_not_made(spec_from, session, monkeypatch):
    loaded, admin = spec_from(), session.server().admin
    grant = type(admin).grant

    def refusing(self, role, privilege):
        if privilege.privilege == "Wrong":
            raise MilvusError("not found the privilege name[Wrong]")
        grant(self, role, privilege)

    monkeypatch.setattr(type(admin), "grant", refusing)
    wrong = [{**GRANT, "privileges": ["Insert", "Wrong"]}]
    with pytest.raises(MilvusError, match="Wrong"):
        keep_role(loaded, "reader", wrong, session=session)
    assert "reader" not in admin.list_roles()
    keep_role(loaded, "reader", [GRANT], session=session)
    with pytest.raises(MilvusError, match="Wrong"):
        keep_role(loaded, "reader", wrong, session=session)
    assert {p.privilege for p in admin.privileges("reader")} == {"Search"}
