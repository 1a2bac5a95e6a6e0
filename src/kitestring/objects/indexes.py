"""Indexes, load state and aliases: what makes a collection answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import ValidationError

from kitestring.checks.index import index_differences
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
)
from kitestring.spec.models import IndexSpec
from kitestring.spec.schema import wanted_index

REBUILT = (
    "built anew in place: until it is done, searches fall back to reading every row "
    "(exact, and slower)"
)
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
                    server.load(name, replicas=info.replicas)
            raise ProvisionRefused(
                f"the server refused the index of `{name}`: {error.message}"
                + ("; the old one is back" if have else ""),
                hint="correct the index in the spec",
                subject=name,
            ) from None
        if info.replicas:
            server.load(name, replicas=info.replicas)

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

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        if changed := moved(self, wanted, found):
            return changed
        differences = [
            Difference(what, str(wanted[what]).lower(), str(found.get(what)).lower(), adds=True)
            for what in ("loaded", "replicas")
            if wanted[what] != found.get(what)
        ]
        # how often something is loaded that is not to be loaded says nothing
        return differences if wanted["loaded"] else differences[:1]

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        info = _described(session, wanted)
        if info is None:
            return None
        replicas = info.replicas if info.loaded else wanted.get("replicas", 1)
        return common(wanted) | {
            "collection": info.name,
            "loaded": info.load_state != "NotLoad",
            "replicas": replicas,
        }

    def make(self, session: Session, wanted: Props) -> None:
        raise ProvisionRefused(
            f"the collection `{wanted['collection']}` is gone: it can't be loaded",
            hint="make the collection first; of a stack: pulumi up --refresh",
            subject=str(wanted["collection"]),
        )

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        server, name = session.server(wanted["database"]), wanted["collection"]
        have, replicas = server.describe(name).replicas, int(wanted["replicas"])
        if have:
            server.release(name)
        if not wanted["loaded"]:
            return
        try:
            server.load(name, replicas=replicas)
        except MilvusError as error:
            if have:
                server.load(name, replicas=have)
            raise ProvisionRefused(
                f"`{name}` can't be loaded with {replicas} replicas: {error.message}"
                + (f"; it is loaded with {have} again" if have else ""),
                hint="each replica needs a query node of its own, and memory for the collection",
                subject=name,
            ) from None

    def drop(self, session: Session, props: Props) -> None:
        info = _described(session, props)
        if info is not None and info.load_state != "NotLoad":
            session.server(props["database"]).release(info.name)

    def effect(self, differences: Sequence[Difference]) -> str:
        return RELOADED if any(d.what == "replicas" for d in differences) else ""


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

    def drop(self, session: Session, props: Props) -> None:
        found = self.find(session, props)
        # one that was moved by hand is somebody else's now
        if found is not None and found["collection"] == props["collection"]:
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
