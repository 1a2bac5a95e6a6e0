"""Resource groups of a server, over the raw calls of a connection.

From 2.4 a group is told how many nodes it is to have (`UpdateResourceGroups`), and the server moves
them in the background and keeps to that: the call changes the configuration only (Milvus,
`internal/querycoordv2/meta/resource_manager.go`). Before, nodes are moved (`TransferNode`); the
group's capacity goes along, and is the number that the server fills up again after a node was lost.
"""

from __future__ import annotations

from pymilvus.grpc_gen import milvus_pb2, rg_pb2

from kitestring.clients.milvus.columnar import Call
from kitestring.clients.milvus.failures import unknown_call
from kitestring.clients.milvus.waiting import wait_until
from kitestring.errors import MilvusError
from kitestring.model.collection import DEFAULT_GROUP, ResourceGroup

_MOVED = 30.0  # seconds that a server may take to move nodes; it looks every 10 s at the latest


class Groups:
    """What `MilvusGroups` promises.

    Args:
        moved: seconds that a server which moves nodes in the background may take.
    """

    def __init__(self, call: Call, database: str, moved: float = _MOVED) -> None:
        self._call, self._database, self._moved = call, database, moved

    def all(self) -> tuple[ResourceGroup, ...]:
        names = self._call("ListResourceGroups", milvus_pb2.ListResourceGroupsRequest())
        return tuple(_group(self._describe(name)) for name in sorted(names.resource_groups))

    def create(self, name: str, nodes: int) -> None:
        self._call(
            "CreateResourceGroup",
            milvus_pb2.CreateResourceGroupRequest(resource_group=name, config=_config(nodes)),
        )
        try:
            self.resize(name, nodes)
        except MilvusError:
            self.drop(name)
            raise

    def resize(self, name: str, nodes: int) -> None:
        if self._declare(name, nodes):
            self._settle(name, nodes)

    def drop(self, name: str) -> None:
        self._declare(name, 0)  # a server that moves nodes itself takes what is left on dropping
        self._call("DropResourceGroup", milvus_pb2.DropResourceGroupRequest(resource_group=name))

    def collections(self, name: str) -> dict[str, int]:
        return dict(self._describe(name).num_loaded_replica)

    def move_replicas(self, collection: str, source: str, target: str, count: int) -> None:
        self._call(
            "TransferReplica",
            milvus_pb2.TransferReplicaRequest(
                source_resource_group=source,
                target_resource_group=target,
                collection_name=collection,
                num_replica=count,
                db_name=self._database,
            ),
        )

    def _declare(self, name: str, nodes: int) -> bool:
        """Whether the server moves the nodes itself, later; else they have been moved."""
        try:
            self._call(
                "UpdateResourceGroups",
                milvus_pb2.UpdateResourceGroupsRequest(resource_groups={name: _config(nodes)}),
            )
        except MilvusError as error:
            if not unknown_call(error):
                raise
            more = nodes - _group(self._describe(name)).nodes
            if more > 0:
                self._transfer(DEFAULT_GROUP, name, more)
            elif more < 0:
                self._transfer(name, DEFAULT_GROUP, -more)
            return False
        return True

    def _settle(self, name: str, nodes: int) -> None:
        """Waits until the group has its nodes: what is loaded into it before is refused."""
        has = 0

        def there() -> bool:
            nonlocal has
            has = int(self._describe(name).num_available_node)
            return has == nodes

        try:
            wait_until(there, timeout=self._moved, what=name)
        except MilvusError as error:
            if error.__cause__ is not None:
                raise  # the server's own
            raise MilvusError(
                f"the resource group `{name}` is to have {nodes} query nodes, and the server has "
                f"given it {has} within {self._moved:g} s",
                hint="start more query nodes, or take some from another group",
                subject=name,
            ) from None

    def _describe(self, name: str) -> milvus_pb2.ResourceGroup:
        request = milvus_pb2.DescribeResourceGroupRequest(resource_group=name)
        return self._call("DescribeResourceGroup", request).resource_group

    def _transfer(self, source: str, target: str, nodes: int) -> None:
        there = self._describe(source).num_available_node
        if there < nodes:
            giver = "no group" if source == DEFAULT_GROUP else f"`{source}`"
            raise MilvusError(
                f"{nodes} more query nodes are wanted in `{target}`, and {giver} has {there}",
                hint="start more query nodes, or take some from another group",
                subject=target,
            )
        self._call(
            "TransferNode",
            milvus_pb2.TransferNodeRequest(
                source_resource_group=source, target_resource_group=target, num_node=nodes
            ),
        )


def _group(said: milvus_pb2.ResourceGroup) -> ResourceGroup:
    available = int(said.num_available_node)
    if said.name == DEFAULT_GROUP:  # the server gives it room for a million
        return ResourceGroup(said.name, available, available)
    declared = said.HasField("config")
    nodes = said.config.requests.node_num if declared else said.capacity
    return ResourceGroup(said.name, int(nodes), available)


def _config(nodes: int) -> rg_pb2.ResourceGroupConfig:
    """Exactly so many: the server fills the group up from the default one, and gives back."""
    limit = rg_pb2.ResourceGroupLimit(node_num=nodes)
    give = [rg_pb2.ResourceGroupTransfer(resource_group=DEFAULT_GROUP)]
    return rg_pb2.ResourceGroupConfig(
        requests=limit, limits=limit, transfer_from=give, transfer_to=give
    )
