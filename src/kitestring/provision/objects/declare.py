"""Which resources a spec asks for: the objects inside Milvus, and what holds rows. Pure."""

from __future__ import annotations

from kitestring.clients.milvus.way import Way, way_of
from kitestring.objects.declare import Declared, declared_objects
from kitestring.objects.kinds import HOLDERS
from kitestring.spec.loaded import LoadedSpec


def declare(loaded: LoadedSpec, way: Way | None = None) -> tuple[Declared, ...]:
    """The resources of a spec, in an order in which they can be made.

    Args:
        way: to the server; that of the spec's `connection` where none is given.
    """
    way = way or way_of(loaded)
    found = tuple(declared_objects(loaded, way))
    holds = sorted(f"{d.kind}:{d.identity}" for d in found if d.kind in HOLDERS)
    props = {"connection": way.plain(), "name": loaded.spec.cluster.name, "holds": holds}
    return (*found, Declared("inventory", "inventory", props, tuple(d.name for d in found)))
