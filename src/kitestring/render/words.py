"""Numbers, times and durations for people. The same words in every format."""

from __future__ import annotations

from kitestring.model.instant import utc

_SPANS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))


def when(ms: int) -> str:
    """`2026-03-04 05:06:07 UTC` from ms since the epoch; `never` from 0."""
    return utc(ms) if ms else "never"


def duration(seconds: float) -> str:
    """`840 ms`, `4.2 s`, `3 min 20 s`, `5 h 10 min`, `9 d 3 h`."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    for big, size, small, part in _SPANS:
        whole, rest = divmod(round(seconds / part), size // part)
        if whole:
            return f"{whole} {big} {rest} {small}" if rest else f"{whole} {big}"
    return f"{seconds:.0f} s"


def rto_words(seconds: float | None) -> str:
    """An RTO; `none` where the restored copy gave no right answer."""
    return "none" if seconds is None else duration(seconds)


def age(seconds: float) -> str:
    """One unit for columns: `12s`, `5m`, `30h`, `9d`."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("m", 60.0)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def data_size(number: float) -> str:
    """`512 B`, `1.5 KiB`, `3.2 GiB` from bytes."""
    if number < 1024:
        return f"{number:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        number /= 1024
        if number < 1024:
            return f"{number:.1f} {unit}"
    return f"{number / 1024:.1f} TiB"


def printable(text: str) -> str:
    """The text with control characters shown as escapes: keys and labels come from anybody, and
    a terminal obeys what it is sent."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
