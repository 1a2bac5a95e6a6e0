"""The progress of a backup as a line of text."""

from __future__ import annotations

from kitestring.render.backup import bytes_as_text


def progress_as_text(
    id_: str,
    owner: str,
    phase: str,
    collection: str,
    done: int,
    total: int,
    rate: float,
    eta: float | None,
) -> str:
    """`20250131T013000Z-1a2b3c: copying docs, 45% of 2.6 GB, 330.0 MB/s, 4 s left (…)`.

    Args:
        done, total: bytes of this phase; 0 of 0 where they say nothing.
        rate: bytes per second.
        eta: seconds.
    """
    parts = [f"{phase} {collection}".strip()]
    if total:
        parts.append(f"{min(1.0, done / total):.0%} of {bytes_as_text(total)}")
    if rate and total:
        parts.append(f"{bytes_as_text(int(rate))}/s")
    if eta is not None and total and done < total:
        parts.append(f"{eta:.0f} s left")
    return f"{id_}: {', '.join(parts)} ({owner})"
