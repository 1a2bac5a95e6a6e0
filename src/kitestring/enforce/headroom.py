"""Whether the disk has room for a compaction, which needs more before it frees anything.

A compaction writes new segments, and indexes of them, beside the old ones; the server removes
those only after their retention (https://github.com/milvus-io/milvus/issues/28799).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitestring.clients.store.connect import open_segment_store
from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.protocol import ObjectReader, join
from kitestring.errors import KitestringError
from kitestring.segments.layout import DELTA, INSERT
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.stores import S3Store

_UNIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Headroom:
    """Bytes that a compaction may take and bytes that are free. None: not known, see `unknown`."""

    needed: int | None = None
    free: int | None = None
    unknown: str = ""

    @property
    def enough(self) -> bool:
        """False only where it is known that there is too little."""
        return self.needed is None or self.free is None or self.free >= self.needed

    def __str__(self) -> str:
        if self.needed is None or self.free is None:
            return f"disk head-room not known: {self.unknown}"
        needed, free = self.needed / _UNIT, self.free / _UNIT
        return f"needs {needed:,.1f} MiB of disk, {free:,.0f} MiB free"

    def as_dict(self) -> dict[str, Any]:
        return {"needed_bytes": self.needed, "free_bytes": self.free, "unknown": self.unknown}


def look(loaded: LoadedSpec, collection: int, segments: Sequence[int]) -> Headroom:
    """What compacting these segments of a collection (by their ids) may take, beside what is free.

    Needed is `day2.compaction.headroom` times the files of the segments. Free is what the volume
    has that `day2.compaction.volume` names, or the directory of the segment store is on.
    """
    policy = loaded.spec.day2.compaction
    storage = loaded.spec.storage
    if storage is None:
        return Headroom(unknown="the spec does not say where the segments are (`storage`)")
    if isinstance(storage, S3Store) and policy.volume is None:
        return Headroom(
            unknown="S3 does not tell what is free; where this host has the volume mounted that "
            "the bucket is on, name it in `day2.compaction.volume`"
        )
    try:
        store, root = open_segment_store(loaded)
        if policy.volume is not None:
            volume = loaded.resolve(policy.volume)
        elif isinstance(store, LocalStore):
            volume = store.path
        else:
            return Headroom(unknown=f"{store.url} is no directory of this host")
        size = _bytes(store, root, collection, frozenset(segments))
        return Headroom(int(policy.headroom * size), _free(volume))
    except KitestringError as error:
        return Headroom(unknown=error.message)
    except OSError as error:
        return Headroom(unknown=f"{error.filename}: {error.strerror}")


def _bytes(store: ObjectReader, root: str, collection: int, segments: frozenset[int]) -> int:
    total = 0
    for kind in (INSERT, DELTA):
        prefix = join(root, f"{kind}/{collection}") + "/"
        for found in store.list(prefix):
            _, segment, *_ = (*found.key.removeprefix(prefix).split("/"), "", "")
            if segment.isdigit() and int(segment) in segments:
                total += found.size
    return total


def _free(volume: Path) -> int:
    return shutil.disk_usage(volume).free
