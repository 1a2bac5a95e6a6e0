"""Backups as tables and lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kitestring.model.backup import BackupManifest, BackupSummary
from kitestring.model.codec import to_plain
from kitestring.model.drill import DrillSummary

_WIDTH = 132


def bytes_as_text(size: int) -> str:
    """`512 B`, `1.5 MB`: powers of ten."""
    if size < 1000:
        return f"{size} B"
    number = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 1000 or unit == "TB":
            break
    return f"{number:.1f} {unit}"


def time_as_text(ms: int | None) -> str:
    """A time in ms since the epoch as `2025-01-31 01:30:00Z`; a dash for none."""
    if not ms:
        return "-"
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"


def reuse_ratio(manifest: BackupManifest) -> float:
    """The part of a backup's bytes that the pool had before, 0 to 1."""
    total = manifest.copied_bytes + manifest.reused_bytes
    return manifest.reused_bytes / total if total else 0.0


def manifest_as_plain(manifest: BackupManifest) -> dict[str, Any]:
    """What `kitestring backup show --output json` prints: the manifest, and `reuse_ratio`."""
    return {**to_plain(manifest), "reuse_ratio": round(reuse_ratio(manifest), 6)}


def manifest_as_text(
    manifest: BackupManifest,
    summary: BackupSummary | None = None,
    drills: Sequence[DrillSummary] = (),
) -> str:
    """What `kitestring backup show` prints.

    Args:
        summary: what is known of it since it was made; None right after that.
        drills: those of this backup are told.
    """
    reused = f", {reuse_ratio(manifest):.0%} of it reused" if manifest.bytes else ""
    lines = {
        "backup": manifest.id,
        "cluster": f"{manifest.cluster}, Milvus {manifest.server_version}",
        "method": manifest.method + (f", by {manifest.origin}" if manifest.origin else ""),
        "boundary": f"{time_as_text(manifest.boundary)}: every write before it is in",
        "made in": f"{(manifest.finished_at - manifest.created_at) / 1000:.1f} s",
        "size": bytes_as_text(manifest.bytes) + reused,
        "left out": ", ".join(manifest.excluded) or "nothing",
    }
    if summary is not None:
        lines |= _since(summary, [d for d in drills if d.backup == manifest.id])
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("collection", overflow="fold")
    for column in ("rows", "segments" if manifest.method == "physical" else "files", "objects"):
        table.add_column(column, justify="right")
    for column in ("indexes", "aliases", "models", "rows' digest"):
        table.add_column(column, overflow="fold")
    for c in manifest.collections:
        table.add_row(
            c.name + (f" where {c.filter}" if c.filter else ""),
            f"{c.digest.rows:,}",
            str(len(c.segments) or len(c.parts)),
            str(len(c.objects)),
            ", ".join(f"{i.field} {i.type}" for i in c.indexes) or "-",
            ", ".join(c.aliases) or "-",
            ", ".join(f"{label} {rows:,}" for label, rows in c.models.items()) or "-",
            c.digest.content[:12] or "not read",
        )
    head = "\n".join(f"{name:9} {value}" for name, value in lines.items())
    return f"{head}\n\n{table_as_text(table)}"


def _since(summary: BackupSummary, drills: Sequence[DrillSummary]) -> dict[str, str]:
    verified = f"{summary.verified_tier}, {time_as_text(summary.verified_at)}"
    if summary.best_tier:
        verified += f" ({summary.best_tier}, {time_as_text(summary.best_at)})"
    told = [
        f"{'passed' if d.passed else 'failed'} {time_as_text(d.started_at)} ({d.id})"
        for d in sorted(drills, key=lambda d: d.started_at, reverse=True)
    ]
    lines = {
        "sealed": summary.sealed or "no",
        "signed": f"by {summary.signed}" if summary.signed else "no",
        "verified": verified if summary.verified_at else "never",
        "drills": "\n          ".join(told) or "none",
    }
    if summary.marked_at is not None:
        lines["marked"] = f"{time_as_text(summary.marked_at)}: no rule of the retention keeps it"
    return lines


def table_as_text(table: Table) -> str:
    """A table without colour."""
    out = StringIO()
    Console(file=out, width=_WIDTH, no_color=True, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip())
