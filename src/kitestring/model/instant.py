"""Instants in words."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(ms: int) -> str:
    """`2026-03-04 05:06:07 UTC` from ms since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
