"""Compacts the collections whose segments call for it, and waits until that is done.

Nothing is started outside of the policy's window, or where the disk has too little room.

A compaction may leave a collection outside of the policy: the server merges what its own
thresholds let it merge. What one left is remembered in `<state>/compaction.json`, so that the same
segments are not compacted again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kitestring.clients.exclusive import exclusive
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.textfile import write_whole
from kitestring.enforce.headroom import Headroom, look
from kitestring.enforce.policy import (
    Left,
    Need,
    SegmentFacts,
    needs_compaction,
    postponed,
    segment_facts,
)
from kitestring.errors import CollectionNotFound, CompactionUnfinished, DiskHeadroom
from kitestring.model.action import Action
from kitestring.parallel import Workers
from kitestring.spec.loaded import LoadedSpec

REMEMBERED = "compaction.json"
SETTLED_AFTER = 3  # listings of the segments that are the same, after the server says it is done
POLL = 0.5  # seconds
_STREAMS = 8  # collections that are looked at side by side: a strong count waits 0.2 s


@dataclass(frozen=True, slots=True)
class Compaction:
    """What became of one collection."""

    collection: str
    need: Need
    before: SegmentFacts
    after: SegmentFacts
    ran: bool = False
    seconds: float = 0.0
    headroom: Headroom | None = None  # None where nothing was to be compacted

    @property
    def changed(self) -> bool:
        """Whether the segments are others than before; a compaction that did nothing is none."""
        return self.ran and self.before.segments != self.after.segments

    def as_dict(self) -> dict[str, Any]:
        return {
            "collection": self.collection,
            "wanted": self.need.wanted,
            "reason": self.need.reason,
            "ran": self.ran,
            "changed": self.changed,
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "seconds": round(self.seconds, 3),
            "headroom": None if self.headroom is None else self.headroom.as_dict(),
        }


def observe_segments(milvus: Milvus, collection: str) -> SegmentFacts:
    """The facts of one collection, in three requests or fewer."""
    loaded = milvus.describe(collection).loaded
    return segment_facts(
        milvus.segments(collection),
        milvus.loaded_segments(collection) if loaded else [],
        milvus.count(collection) if loaded else None,
    )


def _looked(milvus: Milvus, name: str) -> SegmentFacts | None:
    return observe_segments(milvus, name) if milvus.has_collection(name) else None


def compact(
    loaded: LoadedSpec,
    milvus: Milvus,
    *,
    collections: Sequence[str] = (),
    force: bool = False,
    dry_run: bool = False,
    timeout: float | None = None,
    on_event: Callable[[str], None] = lambda _: None,
) -> list[Compaction]:
    """Compacts what the spec's policy calls for, one collection after the other.

    Args:
        collections: names of the spec's collections; none for all of them.
        force: compact without regard to the policy and its window.
        dry_run: change nothing; `need` says what would be done.
        timeout: seconds that one collection may take; None for the policy's `deadline`.

    A collection of the spec that is not on the server is left out, unless it was named. One for
    which the disk has no room is passed over, and told of when the others are done.

    Raises:
        CollectionNotFound: a named collection is not in the spec, or not on the server.
        DiskHeadroom: the disk has too little room for one or more.
        EnforceBusy: another compaction of this spec's state is under way.
        CompactionUnfinished: the server was not done in time, and goes on.
        MilvusError: the server refused.
    """
    names = _named(loaded, collections)
    policy = loaded.spec.day2.compaction
    limit = policy.deadline if timeout is None else timeout
    results: list[Compaction] = []
    refused: dict[str, Headroom] = {}
    with exclusive(loaded.state_dir / "compaction.lock", "compaction", dry_run=dry_run):
        remembered = _recall(loaded.state_dir)
        threads = Workers().side_by_side(min(_STREAMS, len(names)))
        for name, facts in zip(names, threads.run(partial(_looked, milvus), names), strict=True):
            if facts is None and not collections:
                on_event(f"{name}: not on the server")
                continue
            before = facts or observe_segments(milvus, name)
            left = remembered.get(f"{loaded.spec.cluster.name}/{name}")
            need = Need(True, "asked for") if force else needs_compaction(policy, before, left)
            if need.wanted and not force:
                need = postponed(policy, need, time.strftime("%H:%M"))
            if not need.wanted:
                results.append(Compaction(name, need, before, before))
                continue
            room = look(loaded, milvus.describe(name).id, before.segments)
            on_event(f"{name}: {room}")
            if not room.enough:
                refused[name] = room
                continue
            if dry_run:
                results.append(Compaction(name, need, before, before, headroom=room))
                continue
            on_event(f"{name}: compacting ({need.reason})")
            before = observe_segments(milvus, name)  # those before it may have taken hours
            result = replace(_compact_one(milvus, name, need, before, limit), headroom=room)
            remembered[f"{loaded.spec.cluster.name}/{name}"] = Left(
                result.after.segments, result.after.deleted or 0
            )
            _remember(loaded.state_dir, remembered)
            results.append(result)
    if refused:
        raise _no_room(refused)
    return results


def _named(loaded: LoadedSpec, collections: Sequence[str]) -> list[str]:
    """The collections to look at: those that were named, or all of the spec."""
    known = [c.name for c in loaded.spec.collections]
    for name in collections:
        if name not in known:
            raise CollectionNotFound(
                f"the spec has no collection `{name}`",
                hint=f"{loaded.file} has {', '.join(known) or 'none'}",
                subject=name,
            )
    return list(collections or known)


def _no_room(refused: Mapping[str, Headroom]) -> DiskHeadroom:
    told = "; ".join(f"`{name}` {room}" for name, room in refused.items())
    return DiskHeadroom(
        f"too little room on the disk to compact: {told}",
        hint="a compaction writes before it frees: make room, or lower "
        "`day2.compaction.headroom` of the spec",
        subject=next(iter(refused)),
    )


def as_actions(loaded: LoadedSpec, results: Sequence[Compaction]) -> list[Action]:
    """The compactions that changed (or, in a dry run, would change) something."""
    return [
        Action(
            kind="compact",
            subject=f"{loaded.spec.cluster.name}/{r.collection}",
            reason=r.need.reason,
            before=str(r.before),
            after=str(r.after) if r.ran else "compacted",
            check="compaction.policy",
        )
        for r in results
        if r.changed or (r.need.wanted and not r.ran)
    ]


def _compact_one(
    milvus: Milvus, name: str, need: Need, before: SegmentFacts, timeout: float
) -> Compaction:
    start = time.monotonic()
    milvus.flush(name)  # deletes that are not written yet are not compacted away
    job = milvus.compact(name)
    while not milvus.compaction_done(job):
        _check_deadline(name, start, timeout)
        time.sleep(POLL)
    same, seen = 0, observe_segments(milvus, name)
    while same < SETTLED_AFTER:  # `done` comes before the list of segments has changed
        _check_deadline(name, start, timeout)
        time.sleep(POLL)
        now = observe_segments(milvus, name)
        same, seen = (same + 1 if now.segments == seen.segments else 0), now
    return Compaction(name, need, before, seen, ran=True, seconds=time.monotonic() - start)


def _check_deadline(name: str, start: float, timeout: float) -> None:
    if time.monotonic() - start > timeout:
        raise CompactionUnfinished(
            f"the compaction of `{name}` was not done within {timeout:g} s",
            hint="it goes on in the server; run again later",
            subject=name,
        )


def _recall(state: Path) -> dict[str, Left]:
    """What earlier compactions left. Without a readable file nothing is remembered: at worst
    the server is asked once more than needed."""
    try:
        raw: Mapping[str, Any] = json.loads((state / REMEMBERED).read_text())
        return {k: Left(tuple(v["segments"]), int(v["deleted"])) for k, v in raw.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _remember(state: Path, left: Mapping[str, Left]) -> None:
    plain = {k: {"segments": list(v.segments), "deleted": v.deleted} for k, v in left.items()}
    write_whole(state / REMEMBERED, json.dumps(plain, indent=2, sort_keys=True) + "\n")
