"""Puts the segments of a backup together into batches, one bulk import each.

A server of 2.3 starts one import task every 2 s, however small it is. A task imports every log
below one prefix, so the logs of several segments of a partition are staged as if they were one
segment's. A delete takes all older rows of its key wherever they are, so it may be read with
another segment's rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kitestring.model.backup import CollectionBackup, SegmentBackup, StoredObject
from kitestring.segments.layout import DELTA, INSERT

_BYTES = 512 * 1024 * 1024  # of insert logs in one batch: about one sealed segment
_SEGMENTS = 256
_DEFAULT = "_default"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one import task reads. Keys are below the staging folder."""

    partition: str
    prefixes: tuple[str, str]  # insert and delta logs
    objects: Mapping[str, StoredObject]


def plan_batches(
    backup: CollectionBackup, *, max_bytes: int = _BYTES, max_segments: int = _SEGMENTS
) -> list[Batch]:
    """The batches of a collection: every segment with rows in exactly one of them."""
    names = {p.id: p.name for p in backup.partitions}
    by_partition: dict[int, list[SegmentBackup]] = defaultdict(list)
    for segment in backup.segments:
        if segment.rows:
            by_partition[segment.partition_id].append(segment)
    return [
        _batch(backup.id, partition, names.get(partition, _DEFAULT), group)
        for partition, segments in sorted(by_partition.items())
        for group in _groups(segments, max_bytes, max_segments)
    ]


def _groups(
    segments: Iterable[SegmentBackup], max_bytes: int, max_segments: int
) -> list[list[SegmentBackup]]:
    groups: list[list[SegmentBackup]] = []
    total = 0
    for segment in segments:
        size = sum(o.size for o in segment.insert)
        if not groups or total + size > max_bytes or len(groups[-1]) >= max_segments:
            groups.append([])
            total = 0
        groups[-1].append(segment)
        total += size
    return groups


def _batch(collection: int, partition: int, name: str, group: list[SegmentBackup]) -> Batch:
    place = f"{collection}/{partition}/{group[0].id}"
    insert, delta = f"{INSERT}/{place}", f"{DELTA}/{place}"
    objects: dict[str, StoredObject] = {}
    for number, segment in enumerate(group):
        logs: dict[str, list[StoredObject]] = defaultdict(list)
        for stored in segment.insert:
            logs[stored.source.split("/")[-2]].append(stored)
        for field, of_field in logs.items():
            for position, stored in enumerate(sorted(of_field, key=_log_id)):
                # names of one length, so that every field's logs sort alike
                objects[f"{insert}/{field}/1{number:05d}{position:07d}"] = stored
        for position, stored in enumerate(sorted(segment.delta, key=_log_id)):
            objects[f"{delta}/1{number:05d}{position:07d}"] = stored
    return Batch(name, (insert, delta), objects)


def _log_id(stored: StoredObject) -> int:
    return int(stored.source.rpartition("/")[2])
