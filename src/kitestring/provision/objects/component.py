"""`MilvusObjects`: everything inside Milvus that a spec asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from kitestring.clients.milvus.way import provisioning_way
from kitestring.objects.base import OF
from kitestring.provision.objects.declare import declare
from kitestring.provision.objects.resources import CLASSES, Collection, Object
from kitestring.spec.loaded import LoadedSpec


@dataclass(frozen=True)
class MilvusObjectsArgs:
    """
    loaded: the spec.
    after: what has to be there first, such as the server and its root password.
    deleted_with: where the whole server goes, so do its objects: they are not dropped one by
        one, and what is on volumes that are kept stays there.
    context, kubeconfig: of the port-forward, instead of those that the spec names.
    """

    loaded: LoadedSpec
    after: Sequence[pulumi.Resource] = ()
    deleted_with: pulumi.Resource | None = None
    context: str | None = None
    kubeconfig: str | None = None


class MilvusObjects(pulumi.ComponentResource):
    """`objects` are the resources by their name in the stack."""

    def __init__(
        self, name: str, args: MilvusObjectsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kitestring:index:MilvusObjects", name, {}, opts)
        self.objects: dict[str, Object] = {}
        way = provisioning_way(args.loaded, context=args.context, kubeconfig=args.kubeconfig)
        for declared in declare(args.loaded, way):
            props = dict(declared.props)
            owner = self.objects.get(declared.of)
            if isinstance(owner, Collection):  # dropped and made again: so is what belongs to it
                props[OF] = owner.generation
            self.objects[declared.name] = CLASSES[declared.kind](
                f"{name}-{declared.name}",
                props,
                pulumi.ResourceOptions(
                    parent=self,
                    depends_on=[*args.after, *(self.objects[n] for n in declared.after)],
                    deleted_with=args.deleted_with,
                ),
            )
        self.register_outputs({"count": len(self.objects)})
