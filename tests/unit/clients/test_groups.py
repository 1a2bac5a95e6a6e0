"""Resource groups of a server of 2.4 or later, as its `resource_manager.go` answers: no such server
runs here. A call changes a group's configuration only; nodes move afterwards, in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, rg_pb2

from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.milvus.groups import Groups
from kitestring.errors import MilvusError
from kitestring.model.collection import DEFAULT_GROUP, ResourceGroup

ILLEGAL = 303  # merr's ErrResourceGroupIllegalConfig
UNLIMITED = 1_000_000
GOOD = common_pb2.Status()


class Modern(milvus_pb2_grpc.MilvusServiceServicer):
    """Three query nodes. One of them moves whenever somebody looks, and not before."""

    def __init__(self) -> None:
        self.configs = {DEFAULT_GROUP: _config(0, UNLIMITED)}
        self.nodes = {DEFAULT_GROUP: 3}
        self.calls: list[str] = []

    def Connect(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's names
        return milvus_pb2.ConnectResponse(status=GOOD, identifier=1)

    def GetVersion(self, request: Any, context: Any) -> Any:  # noqa: N802
        return milvus_pb2.GetVersionResponse(status=GOOD, version="v2.5.16")

    def ListResourceGroups(self, request: Any, context: Any) -> Any:  # noqa: N802
        return milvus_pb2.ListResourceGroupsResponse(
            status=GOOD, resource_groups=list(self.configs)
        )

    def DescribeResourceGroup(self, request: Any, context: Any) -> Any:  # noqa: N802
        name = request.resource_group
        if name not in self.configs:
            return milvus_pb2.DescribeResourceGroupResponse(
                status=_refused(300, f"resource group not found[rg={name}]")
            )
        config = self.configs[name]
        answer = milvus_pb2.DescribeResourceGroupResponse(
            status=GOOD,
            resource_group=milvus_pb2.ResourceGroup(
                name=name,
                capacity=config.requests.node_num,
                num_available_node=self.nodes[name],
                config=config,
            ),
        )
        self._recover()
        return answer

    def CreateResourceGroup(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls.append("CreateResourceGroup")
        config = request.config if request.HasField("config") else _config(0, 0)
        if why := self._illegal(request.resource_group, config):
            return _refused(ILLEGAL, why)
        self.configs[request.resource_group] = config
        self.nodes[request.resource_group] = 0
        return GOOD

    def UpdateResourceGroups(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls.append("UpdateResourceGroups")
        for name, config in request.resource_groups.items():
            if why := self._illegal(name, config):
                return _refused(ILLEGAL, why)
            self.configs[name] = config
        return GOOD

    def DropResourceGroup(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls.append("DropResourceGroup")
        name = request.resource_group
        if self.configs[name].limits.node_num:
            return _refused(1100, "resource group's limits node num is not 0")
        self.nodes[DEFAULT_GROUP] += self.nodes.pop(name)
        del self.configs[name]
        return GOOD

    def _illegal(self, name: str, config: Any) -> str:
        if not (config.HasField("requests") and config.HasField("limits")):
            return "requests or limits is required"
        if config.limits.node_num < config.requests.node_num:
            return "limits node num should not less than requests node num"
        for transfer in (*config.transfer_from, *config.transfer_to):
            if transfer.resource_group == name or transfer.resource_group not in self.configs:
                return f"resource group {transfer.resource_group} should not be itself, and exist"
        return ""

    def _recover(self) -> None:
        """One node to a group that has too few, or from one that has too many."""
        for name, config in self.configs.items():
            if name == DEFAULT_GROUP:
                continue
            step = (self.nodes[name] < config.requests.node_num) - (
                self.nodes[name] > config.limits.node_num
            )
            if step and self.nodes[DEFAULT_GROUP] >= step:
                self.nodes[name] += step
                self.nodes[DEFAULT_GROUP] -= step
                return


def _config(requests: int, limits: int) -> rg_pb2.ResourceGroupConfig:
    return rg_pb2.ResourceGroupConfig(
        requests=rg_pb2.ResourceGroupLimit(node_num=requests),
        limits=rg_pb2.ResourceGroupLimit(node_num=limits),
    )


def _refused(code: int, reason: str) -> common_pb2.Status:
    return common_pb2.Status(code=code, error_code=1, reason=reason)


Serve = Callable[[Modern], MilvusServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A client of a server that listens on this machine."""
    ends: list[Callable[[], object]] = []

    def start(modern: Modern) -> MilvusServer:
        server = grpc.server(futures.ThreadPoolExecutor(4))
        milvus_pb2_grpc.add_MilvusServiceServicer_to_server(modern, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        ends.append(lambda: server.stop(None).wait())
        client = MilvusServer(f"http://127.0.0.1:{port}", timeout=10)
        ends.append(client.close)
        return client

    yield start
    for end in reversed(ends):
        end()


def test_a_group_has_its_nodes_when_it_was_made(serve: Serve) -> None:
    modern = Modern()
    groups = serve(modern).groups
    groups.create("online", 2)
    assert modern.nodes == {DEFAULT_GROUP: 1, "online": 2}
    assert modern.calls == ["CreateResourceGroup", "UpdateResourceGroups"]
    assert groups.all() == (
        ResourceGroup(DEFAULT_GROUP, 1, 1), ResourceGroup("online", 2, 2),
    )  # fmt: skip
    asked = modern.configs["online"]
    assert (asked.requests.node_num, asked.limits.node_num) == (2, 2)
    assert [t.resource_group for t in asked.transfer_to] == [DEFAULT_GROUP]


def test_it_grows_shrinks_and_goes(serve: Serve) -> None:
    modern = Modern()
    groups = serve(modern).groups
    groups.create("online", 1)
    groups.resize("online", 3)
    assert modern.nodes == {DEFAULT_GROUP: 0, "online": 3}
    groups.resize("online", 1)
    assert modern.nodes == {DEFAULT_GROUP: 2, "online": 1}
    groups.drop("online")
    assert modern.nodes == {DEFAULT_GROUP: 3}


def test_nodes_that_nobody_has_are_not_waited_for_for_ever(serve: Serve) -> None:
    modern = Modern()
    groups = Groups(serve(modern)._call, "default", moved=0.5)
    with pytest.raises(MilvusError, match="to have 5 query nodes, and the server has given it"):
        groups.create("online", 5)
    assert modern.nodes == {DEFAULT_GROUP: 3}  # half a group is not left


def test_what_the_server_refuses_is_said_in_its_words(serve: Serve) -> None:
    with pytest.raises(MilvusError, match="should not be itself"):
        serve(Modern()).groups.resize(DEFAULT_GROUP, 1)
    with pytest.raises(MilvusError, match="should not be itself"):
        serve(Modern()).groups.create(DEFAULT_GROUP, 1)
