"""Indexes, load state and aliases: what makes a collection answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import ValidationError

from kitestring.checks.index import index_differences
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import MilvusError, ProvisionRefused
from kitestring.model.collection import CollectionInfo, Index
from kitestring.objects.base import (
    Difference,
    Kind,
    Props,
    Server,
    Session,
    common,
    moved,
    no_collection,
)
from kitestring.objects.groups import place, spread
from kitestring.spec.models import IndexSpec
from kitestring.spec.schema import wanted_index

REBUILT = (
    "built anew in place: until it is done, searches fall back to reading every row "
    "(exact, and slower)"
)
GROUPS = "resource_groups"
MOVED = "moved to the nodes of other groups: until a replica is loaded there, searches may fail"
RELOADED = "released and loaded again: searches fail for as long as that takes"


class IndexOn(Kind):
    """The index of one field. Another definition is built in place: nothing is lost by it."""

    name: ClassVar[str] = "index"
    key: ClassVar[tuple[str, ...]] = ("database", "collection", "field")

    def problems(self, props: Props) -> Iterator[tuple[str, str]]:
        yield from super().problems(props)
        try:
            _spec(props)
        except ValidationError as error:
            for fault in error.errors():
                yield str(fault["loc"][0]) if fault["loc"] else "type", str(fault["msg"])

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        if changed := moved(self, wanted, found):
            return changed
        return [
            Difference(what if what in ("name", "type", "metric") else f"params.{what}", want, is_)
            for what, want, is_ in index_differences(_spec(wanted), _index(found))
        ]

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        info = _described(session, wanted)
        have = _index_on(info, wanted["field"]) if info else None
        if have is None:
            return None
        found = {**common(wanted), "collection": wanted["collection"], "field": have.field}
        if "type" in wanted and not index_differences(_spec(wanted), have):
            have = _index(wanted)  # the server adds parameters of its own
        if have.name != have.field or "index_name" in wanted:
            found["index_name"] = have.name
        found |= {"type": have.type, "metric": have.metric, "params": dict(have.params)}
        return {k: v for k, v in found.items() if v not in ("", {})}

    def make(self, session: Session, wanted: Props) -> None:
        server = session.server(wanted["database"])
        server.create_index(wanted["collection"], wanted_index(_spec(wanted)))

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        server, name = session.server(wanted["database"]), wanted["collection"]
        info = server.describe(name)
        have = _index_on(info, wanted["field"])
        if info.replicas:
            server.release(name)
        if have is not None:
            server.drop_index(name, have.name)
        try:
            server.create_index(name, wanted_index(_spec(wanted)))
        except MilvusError as error:
            if have is not None:  # the old one back, so that the collection can be searched
                server.create_index(name, have)
                if info.replicas:
                    server.load(name, replicas=info.replicas, groups=info.resource_groups)
            raise ProvisionRefused(
                f"the server refused the index of `{name}`: {error.message}"
                + ("; the old one is back" if have else ""),
                hint="correct the index in the spec",
                subject=name,
            ) from None
        if info.replicas:
            server.load(name, replicas=info.replicas, groups=info.resource_groups)

    def missing(self, session: Session, wanted: Props) -> str:
        info = _described(session, wanted)
        if info is None:
            return no_collection(session, wanted["database"], wanted["collection"])
        fields = {field.name for field in info.schema.fields}
        known = info.schema.dynamic or wanted["field"] in fields
        return "" if known else f"`{info.name}` has no field `{wanted['field']}`"

    def drop(self, session: Session, props: Props) -> None:
        info = _described(session, props)
        have = _index_on(info, props["field"]) if info else None
        if info is None or have is None:
            return
        server = session.server(props["database"])
        if info.load_state != "NotLoad":  # the index of a loaded collection can't be dropped
            server.release(info.name)
        server.drop_index(info.name, have.name)

    def effect(self, differences: Sequence[Difference]) -> str:
        return REBUILT if differences else ""


class Load(Kind):
    """Whether a collection is in the query nodes' memory, and how often."""

    name: ClassVar[str] = "load state"
    key: ClassVar[tuple[str, ...]] = ("database", "collection")

    def problems(self, props: Props) -> Iterator[tuple[str, str]]:
        yield from super().problems(props)
        if int(props.get("replicas", 1)) < 1:
            yield "replicas", "it has to be 1 or more"

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        if changed := moved(self, wanted, found):
            return changed
        differences = [
            Difference(what, str(wanted[what]).lower(), str(found.get(what)).lower(), adds=True)
            for what in ("loaded", "replicas")
            if wanted[what] != found.get(what)
        ]
        # how often something is loaded that is not to be loaded says nothing, nor does where
        if not wanted["loaded"]:
            return differences[:1]
        groups, there = wanted.get(GROUPS) or [], found.get(GROUPS) or []
        if groups != there:
            differences.append(Difference(GROUPS, _named(groups), _named(there), adds=True))
        return differences

    def leftovers(self, old: Props, new: Props) -> list[Difference]:
        if not old.get(GROUPS) or new.get(GROUPS):
            return []
        return [Difference(GROUPS, _named([]), _named(old[GROUPS]))]

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        info = _described(session, wanted)
        if info is None:
            return None
        replicas = info.replicas if info.loaded else wanted.get("replicas", 1)
        found = common(wanted) | {
            "collection": info.name,
            "loaded": info.load_state != "NotLoad",
            "replicas": replicas,
        }
        if named := wanted.get(GROUPS):  # where it is loaded matters to who says so
            as_wanted = not info.loaded or spread(named, replicas) == sorted(info.resource_groups)
            found[GROUPS] = named if as_wanted else sorted(set(info.resource_groups))
        return found

    def make(self, session: Session, wanted: Props) -> None:
        raise ProvisionRefused(
            f"the collection `{wanted['collection']}` is gone: it can't be loaded",
            hint="pulumi up --refresh",
            subject=str(wanted["collection"]),
        )

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        server, name = session.server(wanted["database"]), wanted["collection"]
        info, replicas = server.describe(name), int(wanted["replicas"])
        groups = tuple(wanted.get(GROUPS) or ())
        try:
            if info.loaded and {d.what for d in differences} == {GROUPS}:
                place(server, info, groups)
                return
            if info.load_state != "NotLoad":
                server.release(name)
            if wanted["loaded"]:
                _load(server, info, replicas, groups)
        except MilvusError as error:
            where = f" in {', '.join(groups)}" if groups else ""
            raise ProvisionRefused(
                f"`{name}` can't be loaded with {replicas} replicas{where}: {error.message}"
                + (f"; it is loaded with {info.replicas} again" if info.replicas else ""),
                hint="each replica needs a query node of its own, and memory for the collection",
                subject=name,
            ) from None

    def missing(self, session: Session, wanted: Props) -> str:
        info = _described(session, wanted)
        if info is None:
            return no_collection(session, wanted["database"], wanted["collection"])
        return "" if info.indexes or not wanted.get("loaded") else unindexed(info.name)

    def drop(self, session: Session, props: Props) -> None:
        info = _described(session, props)
        if info is not None and info.load_state != "NotLoad":
            session.server(props["database"]).release(info.name)

    def effect(self, differences: Sequence[Difference]) -> str:
        changed = {d.what for d in differences}
        if "replicas" in changed:
            return RELOADED
        return MOVED if GROUPS in changed else ""


def unindexed(collection: str) -> str:
    """Why a collection can't be loaded."""
    return f"`{collection}` has no index yet: it can't be loaded"


def _named(groups: Sequence[str]) -> str:
    return ", ".join(groups) or "the default group"


def _load(server: Milvus, info: CollectionInfo, replicas: int, groups: Sequence[str]) -> None:
    """Loads it; as it was loaded before, where that fails."""
    try:
        server.load(info.name, replicas=replicas, groups=groups or info.groups_for(replicas))
    except MilvusError:
        if info.replicas:
            server.load(info.name, replicas=info.replicas, groups=info.resource_groups)
        raise


class Alias(Kind):
    """Another name that leads to a collection; it is moved in one step."""

    name: ClassVar[str] = "alias"
    key: ClassVar[tuple[str, ...]] = ("database", "name")

    def problems(self, props: Props) -> Iterator[tuple[str, str]]:
        yield from super().problems(props)
        if not props.get("collection"):
            yield "collection", "it has to be the name of a collection"

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        if changed := moved(self, wanted, found):
            return changed
        if wanted["collection"] == found.get("collection"):
            return []
        return [Difference("collection", wanted["collection"], str(found.get("collection")))]

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        if not session.has_database(wanted["database"]):
            return None
        server, alias = session.server(wanted["database"]), wanted["name"]
        owner = server.alias_owner(alias)
        if owner is None and server.has_collection(alias):
            raise ProvisionRefused(
                f"a collection is named `{alias}`: an alias can't have its name", subject=alias
            )
        if owner is None:
            return None
        return common(wanted) | {"name": alias, "collection": owner}

    def make(self, session: Session, wanted: Props) -> None:
        server = session.server(wanted["database"])
        try:
            server.create_alias(wanted["collection"], wanted["name"])
        except MilvusError:
            if server.alias_owner(wanted["name"]) is not None:
                raise
            # 2.3 keeps the alias of a dropped collection, which leads nowhere
            server.drop_alias(wanted["name"])
            server.create_alias(wanted["collection"], wanted["name"])

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        session.server(wanted["database"]).move_alias(wanted["collection"], wanted["name"])

    def missing(self, session: Session, wanted: Props) -> str:
        return no_collection(session, wanted["database"], wanted["collection"])

    def another(self, meant: Props, found: Props) -> str:
        # one that was moved by hand is somebody else's now
        leads, wanted = found["collection"], meant.get("collection", found["collection"])
        return "" if leads == wanted else f"`{found['name']}` leads to `{leads}`, not to `{wanted}`"

    def drop(self, session: Session, props: Props) -> None:
        found = self.find(session, props)
        if found is not None and not self.another(props, found):
            session.server(props["database"]).drop_alias(props["name"])


def _spec(props: Props) -> IndexSpec:
    return IndexSpec.model_validate(
        {
            "field": props["field"],
            "name": props.get("index_name"),
            "type": props.get("type"),
            "metric": props.get("metric"),
            "params": props.get("params") or {},
        }
    )


def _index(props: Props) -> Index:
    return Index(
        str(props.get("index_name") or props["field"]),
        props["field"],
        str(props.get("type")),
        str(props.get("metric") or ""),
        {k: str(v) for k, v in (props.get("params") or {}).items()},
    )


def _described(session: Session, props: Props) -> CollectionInfo | None:
    if not session.has_database(props["database"]):
        return None
    server: Server = session.server(props["database"])
    if not server.has_collection(props["collection"]):
        return None
    return server.describe(props["collection"])


def _index_on(info: CollectionInfo, field: str) -> Index | None:
    return next((state.index for state in info.indexes if state.index.field == field), None)
