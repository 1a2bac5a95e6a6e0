"""The dynamic resources. Their properties are those of the kind of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from kitestring.provision.objects.provider import ObjectProvider


class Object(Resource, module="milvus", name="Object"):
    """One object inside Milvus."""

    kind = ""

    def __init__(
        self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(ObjectProvider(self.kind), name, dict(props), opts)


class Database(Object, module="milvus", name="Database"):
    """`name`, `properties`."""

    kind = "database"


class Collection(Object, module="milvus", name="Collection"):
    """`database`, `name`, `fields`, `dynamic`, `description`, `shards`, `properties`."""

    kind = "collection"
    generation: pulumi.Output[str]

    def __init__(
        self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, {**props, "generation": None}, opts)  # None: an output


class Partition(Object, module="milvus", name="Partition"):
    """`database`, `collection`, `name`."""

    kind = "partition"


class Index(Object, module="milvus", name="Index"):
    """`database`, `collection`, `field`, `index_name`, `type`, `metric`, `params`."""

    kind = "index"


class Load(Object, module="milvus", name="Load"):
    """`database`, `collection`, `loaded`, `replicas`."""

    kind = "load state"


class Alias(Object, module="milvus", name="Alias"):
    """`database`, `name`, `collection`."""

    kind = "alias"


class Role(Object, module="milvus", name="Role"):
    """`name`."""

    kind = "role"


class Grant(Object, module="milvus", name="Grant"):
    """`database`, `role`, `grants`: all that the role may do there."""

    kind = "grant"


class User(Object, module="milvus", name="User"):
    """`name`, `roles`, `password` (`env`, `file` or `secret`: where it is found)."""

    kind = "user"


class Inventory(Object, module="milvus", name="Inventory"):
    """`holds`: what of the stack holds rows."""

    kind = "inventory"


CLASSES: dict[str, type[Object]] = {
    cls.kind: cls
    for cls in (
        Database,
        Collection,
        Partition,
        Index,
        Load,
        Alias,
        Role,
        Grant,
        User,
        Inventory,
    )
}
