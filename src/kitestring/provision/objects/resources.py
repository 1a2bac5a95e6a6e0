"""The dynamic resources: a class for each kind, whose properties are those of the kind."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from kitestring.errors import UsageError
from kitestring.objects.base import ADOPT
from kitestring.provision.objects.kinds import KINDS
from kitestring.provision.objects.provider import ObjectProvider


class Object(Resource, module="milvus", name="Object"):
    """One object inside Milvus.

    Raises:
        UsageError: it is to be imported, which the engine can't do with dynamic resources.
    """

    kind = ""

    def __init__(
        self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        if opts is not None and opts.import_:
            raise UsageError(
                f"a {self.kind} can't be imported: the engine would ask no provider for it",
                hint="`pulumi up` takes over what is there and equal, and "
                f"`pulumi config set --path '{ADOPT}[0]' {opts.import_}` what differs",
                subject=name,
            )
        super().__init__(ObjectProvider(self.kind), name, dict(props), opts)


class Collection(Object, module="milvus", name="Collection"):
    """A collection; `generation` changes when it is made anew."""

    kind = "collection"
    generation: pulumi.Output[str]

    def __init__(
        self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, {**props, "generation": None}, opts)  # None: an output


def _of(kind: str) -> type[Object]:
    """The class of a kind that has nothing of its own: `resource group` is
    `…:milvus:ResourceGroup`, and `load state` is `…:milvus:Load`."""
    token = "".join(word.capitalize() for word in kind.removesuffix(" state").split())
    naming = {"module": "milvus", "name": token}
    return types.new_class(token, (Object,), naming, lambda body: body.update(kind=kind))


CLASSES: dict[str, type[Object]] = {
    kind: Collection if kind == Collection.kind else _of(kind) for kind in KINDS
}
