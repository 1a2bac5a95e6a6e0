"""Backups as tables and lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kitestring.model.backup import BackupManifest, BackupSummary

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


def summaries_as_text(summaries: Sequence[BackupSummary]) -> str:
    """The table of `kitestring backup list`; what can't be read is below it."""
    if not summaries:
        return "no backups"
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("backup", "boundary", "collections"):
        table.add_column(column, overflow="fold", no_wrap=column == "backup")
    for column in ("rows", "size", "new"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verified", no_wrap=True)
    for summary in summaries:
        if summary.readable:
            table.add_row(
                summary.id,
                time_as_text(summary.boundary),
                ", ".join(summary.collections),
                f"{summary.rows:,}",
                bytes_as_text(summary.bytes),
                bytes_as_text(summary.copied_bytes),
                f"{summary.verified_tier} {time_as_text(summary.verified_at)}".strip(),
            )
        else:
            table.add_row(summary.id, "-", "can't be read", "-", "-", "-", "-")
    problems = [f"{s.id}: {s.problem}" for s in summaries if not s.readable]
    return "\n".join([_text(table), *problems])


def manifest_as_text(manifest: BackupManifest) -> str:
    """What `kitestring backup show` prints."""
    total = manifest.copied_bytes + manifest.reused_bytes
    reused = f", {manifest.reused_bytes / total:.0%} of it reused" if total else ""
    lines = {
        "backup": manifest.id,
        "cluster": f"{manifest.cluster}, Milvus {manifest.server_version}",
        "method": manifest.method,
        "boundary": f"{time_as_text(manifest.boundary)}: every write before it is in",
        "made in": f"{(manifest.finished_at - manifest.created_at) / 1000:.1f} s",
        "size": bytes_as_text(manifest.bytes) + reused,
        "left out": ", ".join(manifest.excluded) or "nothing",
    }
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("collection", overflow="fold")
    for column in ("rows", "segments", "objects"):
        table.add_column(column, justify="right")
    for column in ("indexes", "aliases", "models", "rows' digest"):
        table.add_column(column, overflow="fold")
    for c in manifest.collections:
        table.add_row(
            c.name,
            f"{c.digest.rows:,}",
            str(len(c.segments)),
            str(sum(len(s.objects) for s in c.segments)),
            ", ".join(f"{i.field} {i.type}" for i in c.indexes) or "-",
            ", ".join(c.aliases) or "-",
            ", ".join(f"{label} {rows:,}" for label, rows in c.models.items()) or "-",
            c.digest.content[:12],
        )
    head = "\n".join(f"{name:9} {value}" for name, value in lines.items())
    return f"{head}\n\n{_text(table)}"


def _text(table: Table) -> str:
    out = StringIO()
    Console(file=out, width=_WIDTH, no_color=True, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip())
