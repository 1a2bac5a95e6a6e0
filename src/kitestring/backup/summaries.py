"""Summaries: the few facts of a manifest, and what was found out of the backup since. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

from kitestring.backup.seal.sealer import place_of
from kitestring.model.backup import BackupManifest, BackupSummary
from kitestring.model.codec import to_plain

TIERS = ("list", "sample", "full")
"""Of a verification, each of which proves what those before it do."""
_VERIFIED = ("verified_at", "verified_tier")
_FACTS = (
    "id", "cluster", "method", "created_at", "finished_at", "boundary", "server_version",
    "collections", "partial", "rows", "bytes", "manifest_sha256",
)  # fmt: skip
_DERIVED = (*_FACTS, "copied_bytes", "reused_bytes", "sealed")
_LATER: dict[str, object] = {"finished_at": 0, "reused_bytes": 0, "sealed": "", "partial": ()}
_TIER_OF = {"": "full", "all": "full", "new": "list", "keys": "list", "none": ""}
"""What a backup has been read back as by its making -> the tier that this comes to."""


def summarize(manifest: BackupManifest, data: bytes) -> BackupSummary:
    """The summary of a manifest whose bytes are `data`.

    A backup is read back from the pool and against its checksums before it is published: it
    begins as verified as that makes it (`BackupManifest.read_back`).
    """
    tier = _TIER_OF.get(manifest.read_back, "")
    return BackupSummary(
        id=manifest.id,
        cluster=manifest.cluster,
        method=manifest.method,
        created_at=manifest.created_at,
        boundary=manifest.boundary,
        server_version=manifest.server_version,
        collections=tuple(c.name for c in manifest.collections),
        rows=manifest.rows,
        bytes=manifest.bytes,
        copied_bytes=manifest.copied_bytes,
        manifest_sha256=hashlib.sha256(data).hexdigest(),
        verified_at=manifest.finished_at if tier else None,
        verified_tier=tier,
        finished_at=manifest.finished_at,
        reused_bytes=manifest.reused_bytes,
        partial=tuple(c.name for c in manifest.collections if c.filter),
        sealed=sealed_by(manifest),
    )


def difference(found: BackupSummary, wanted: BackupSummary) -> str:
    """What a summary says other than its manifest makes it; empty for nothing."""
    for name in _DERIVED:
        told, true = getattr(found, name), getattr(wanted, name)
        # a summary of an older version lacks some
        if told != true and not (name in _LATER and told == _LATER[name]):
            return f"says that `{name}` is {told}, and the manifest makes it {true}"
    return ""


def verified(summary: BackupSummary, tier: str, at: int) -> BackupSummary:
    """The summary of a backup of which a verification has passed at `at` (ms since the epoch).

    The newest is told, and beside it the last one that has proven more.
    """
    best = (summary.best_tier, summary.best_at)
    before = (summary.verified_tier, summary.verified_at)
    if _rank(before[0]) >= _rank(best[0]):
        best = before
    if _rank(tier) >= _rank(best[0]):
        best = ("", None)
    return replace(
        summary, verified_at=at, verified_tier=tier, best_tier=best[0], best_at=best[1]
    )  # fmt: skip


def unverified(summary: BackupSummary) -> BackupSummary:
    """The summary of a backup that no verification is known to have passed, or not any more."""
    return replace(summary, verified_at=None, verified_tier="", best_tier="", best_at=None)


def _rank(tier: str) -> int:
    return TIERS.index(tier) if tier in TIERS else -1


def sealed_by(manifest: BackupManifest) -> str:
    """`age`, `kms`, or empty where its objects are in clear."""
    places = (place_of(o.key) for c in manifest.collections for o in c.objects)
    return next((place.how for place in places if place), "")


def evidence(summary: BackupSummary) -> bytes:
    """What the signature of a summary is over."""
    plain = to_plain(summary)
    # the same bytes as ever where there is nothing that older versions did not know
    more = [name for name in ("best_at", "best_tier") if plain[name]]
    return json.dumps(
        {name: plain[name] for name in (*_FACTS, *_VERIFIED, *more)}, sort_keys=True
    ).encode()  # fmt: skip


def unreadable(id_: str, problem: str) -> BackupSummary:
    """What stands in the list for a backup that can't be read."""
    try:
        created = datetime.strptime(id_[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        at = int(created.timestamp() * 1000)
    except ValueError:
        at = 0
    return BackupSummary(
        id_, "", "", at, 0, "", (), 0, 0, 0, "", readable=False, problem=problem
    )  # fmt: skip
