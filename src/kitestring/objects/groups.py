"""Resource groups, and moving what is loaded between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from kitestring.clients.milvus.protocol import Milvus, MilvusGroups
from kitestring.errors import MilvusError, ProvisionRefused
from kitestring.model.collection import DEFAULT_GROUP, CollectionInfo
from kitestring.objects.base import Difference, Kind, Props, Session, common, moved


class Group(Kind):
    """A resource group and how many query nodes it has."""

    name: ClassVar[str] = "resource group"
    key: ClassVar[tuple[str, ...]] = ("name",)

    def problems(self, props: Props) -> Iterator[tuple[str, str]]:
        yield from super().problems(props)
        if props.get("name") == DEFAULT_GROUP:
            yield "name", "the server's default group is always there: it is no resource"
        nodes = props.get("nodes")
        if not isinstance(nodes, int) or nodes < 1:
            yield "nodes", "it has to be a number of query nodes, 1 or more"

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        if changed := moved(self, wanted, found):
            return changed
        nodes, there = int(wanted["nodes"]), int(found.get("nodes", 0))
        if nodes == there:
            return []
        return [Difference("nodes", str(nodes), str(there), adds=nodes > there)]

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        groups = {g.name: g for g in session.server().groups.all()}
        found = groups.get(wanted["name"])
        if found is None:
            return None
        return common(wanted) | {"name": found.name, "nodes": found.nodes}

    def make(self, session: Session, wanted: Props) -> None:
        groups = session.server().groups
        _fits(groups, wanted, 0)
        groups.create(wanted["name"], int(wanted["nodes"]))

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        groups = session.server().groups
        _fits(groups, wanted, int(found["nodes"]))
        groups.resize(wanted["name"], int(wanted["nodes"]))

    def drop(self, session: Session, props: Props) -> None:
        if self.find(session, props) is None:
            return
        groups = session.server().groups
        if loaded := sorted(groups.collections(props["name"])):
            raise ProvisionRefused(
                f"the resource group `{props['name']}` is not dropped: {', '.join(loaded)} is "
                "loaded into it",
                hint="load it elsewhere, or release it, first",
                subject=str(props["name"]),
            )
        groups.drop(props["name"])


def _fits(groups: MilvusGroups, wanted: Props, has: int) -> None:
    """Raises ProvisionRefused where the default group has too few nodes to give."""
    free = next((g.available for g in groups.all() if g.name == DEFAULT_GROUP), 0)
    more = int(wanted["nodes"]) - has
    if more > free:
        raise ProvisionRefused(
            f"the resource group `{wanted['name']}` wants {more} more query nodes, and {free} are "
            "in no group",
            hint="raise `deployment.roles.query_node.replicas`, or lower `nodes`",
            subject=str(wanted["name"]),
        )


def spread(groups: Sequence[str], replicas: int) -> list[str]:
    """The group of each replica: `groups` names one for all, or one for each; the default group
    where it names none."""
    named = list(groups) or [DEFAULT_GROUP]
    return sorted(named * replicas if len(named) == 1 else named)


def place(server: Milvus, info: CollectionInfo, groups: Sequence[str]) -> None:
    """Moves the replicas of a loaded collection into groups; their number stays.

    The collection stays loaded where the server can move replicas; where it refuses, it is
    released and loaded again.

    Raises:
        MilvusError: it can't be loaded there; it is loaded where it was.
    """
    wanted, there = Counter(spread(groups, info.replicas)), Counter(info.resource_groups)
    sources = sorted((there - wanted).elements())
    targets = sorted((wanted - there).elements())
    try:
        for (source, target), count in Counter(zip(sources, targets, strict=True)).items():
            server.groups.move_replicas(info.name, source, target, count)
        return
    except MilvusError:
        server.release(info.name)
    try:
        server.load(info.name, replicas=info.replicas, groups=tuple(groups))
    except MilvusError:
        server.load(info.name, replicas=info.replicas, groups=info.resource_groups)
        raise
