"""The segments of a live collection, where its files hold all its rows."""

from __future__ import annotations

from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.store.connect import open_segment_store
from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import KitestringError
from kitestring.model.collection import CollectionInfo
from kitestring.segments.deltas import DeltaLogs
from kitestring.segments.plan import FLUSHED, Part, plan_live
from kitestring.spec.loaded import LoadedSpec

TTL = "collection.ttl.seconds"

_open: dict[str, tuple[ObjectReader, DeltaLogs]] = {}


def flushed_parts(
    loaded: LoadedSpec, milvus: Milvus, info: CollectionInfo
) -> tuple[ObjectReader, tuple[Part, ...]] | None:
    """The store and the parts of a collection; None where rows grow or expire, or the store
    can't be reached, or its files are not understood.

    What was deleted in the last moment may still be in them: whoever reads compares the number of
    rows with `count(*)`.
    """
    expires = int(info.properties.get(TTL, "0") or 0) > 0  # which files do not show
    if loaded.spec.storage is None or expires or _growing(milvus, info.name):
        return None
    try:
        store, root = open_segment_store(loaded)
        return store, plan_live(store, root, info, milvus.segments(info.name))
    except KitestringError:
        return None


def opened(loaded: LoadedSpec, token: str) -> tuple[ObjectReader, DeltaLogs]:
    """The store of a cluster, and what several parts share of its delta logs; opened once in each
    process for a plan, which `token` tells from others.

    Raises:
        StoreError, SecretMissing, LocalNotRunning, KubernetesError: it can't be reached.
    """
    if token not in _open:
        _open.clear()
        store, _ = open_segment_store(loaded)
        _open[token] = store, DeltaLogs(store)
    return _open[token]


def _growing(milvus: Milvus, name: str) -> bool:
    return any(s.state != "Sealed" and s.rows for s in milvus.loaded_segments(name)) or any(
        s.state != FLUSHED and s.rows for s in milvus.segments(name)
    )
