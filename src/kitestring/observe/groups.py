"""The server's resource groups."""

from __future__ import annotations

from dataclasses import replace

from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec


def observe_groups(loaded: LoadedSpec, milvus: Milvus, snapshot: Snapshot) -> Snapshot:
    """The groups, where the spec has some: not every user may see them."""
    if not loaded.spec.resource_groups:
        return snapshot
    return replace(snapshot, resource_groups=milvus.groups.all())
