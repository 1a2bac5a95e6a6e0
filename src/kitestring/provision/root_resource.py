"""The password of root as a resource: made true after the proxy is ready, looked at on refresh."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi import dynamic

from kitestring.provision.readable import readable


class RootPasswordProvider(dynamic.ResourceProvider):
    """Imported by name where it runs; nothing of it but its name is in the state."""

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult("root", _ensured(props))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        from kitestring.errors import KitestringError
        from kitestring.provision.root_password import is_root_password

        way = _way(props)
        try:
            true = is_root_password(way, props["password"])
        except KitestringError as error:
            # a server that is down says nothing about its passwords
            pulumi.log.warn(f"the password of root was not looked at: {error.message}")
            return dynamic.ReadResult(id_, props)
        return dynamic.ReadResult(id_, {**props, "is_set": true})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        changed = olds.get("password") != news.get("password") or olds.get("is_set") is not True
        return dynamic.DiffResult(changes=changed)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        return dynamic.UpdateResult(_ensured(news))


def _way(props: dict[str, Any]) -> Any:
    from kitestring.clients.milvus.way import way_from

    return way_from(props["way"])


def _ensured(props: dict[str, Any]) -> dict[str, Any]:
    from kitestring.provision.root_password import ensure_root_password

    with readable():
        ensure_root_password(_way(props), props["password"])
    return {**props, "is_set": True}


class RootPassword(dynamic.Resource, module="kitestring", name="RootPassword"):
    """Root has the password that its Secret says, and the default one is refused."""

    def __init__(
        self,
        name: str,
        way: dict[str, Any],
        password: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        props = {"way": way, "password": pulumi.Output.secret(password), "is_set": True}
        secret = pulumi.ResourceOptions(additional_secret_outputs=["password"])
        super().__init__(
            RootPasswordProvider(), name, props, pulumi.ResourceOptions.merge(opts, secret)
        )
