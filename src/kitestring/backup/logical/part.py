"""Which rows of a collection a logical backup holds, where not all."""

from __future__ import annotations

from dataclasses import dataclass

from kitestring.backup.logical.where import Filter, parse
from kitestring.errors import BackupRefused
from kitestring.model.collection import CollectionInfo


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows, where not all: a filter (see `kitestring.backup.logical.where`), partitions."""

    where: str = ""
    partitions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        named = f"partition in [{', '.join(self.partitions)}]" if self.partitions else ""
        return " and ".join(t for t in (f"({self.where})" if named and self.where else self.where,
                                        named) if t)  # fmt: skip


ALL = Part()


def filter_of(part: Part, info: CollectionInfo) -> Filter | None:
    """What a part means for a collection; None for all rows of its partitions.

    Raises:
        BackupRefused: it has no such partitions to choose from.
        UsageError: the filter is none for its schema.
    """
    by_key = any(f.partition_key for f in info.schema.fields)
    if part.partitions and by_key:
        raise BackupRefused(
            f"`{info.name}` is partitioned by a key: one of its partitions holds rows of "
            "several values",
            hint="filter by the key: --where",
            subject=info.name,
        )
    known = {p.name for p in info.partitions}
    for name in part.partitions:
        if name not in known:
            raise BackupRefused(
                f"`{info.name}` has no partition `{name}`",
                hint=f"it has {', '.join(sorted(known)[:20])}",
                subject=name,
            )
    return parse(part.where, info.schema) if part.where else None
