"""What drills have shown of a backup method, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """What drills have shown of a method on a server version. Times are ms since the epoch."""

    version: str  # major.minor.patch
    method: str
    passed: int
    failed: int
    newest: int  # start of the newest drill
    newest_passed: int | None  # start of the newest one that passed
    sampled: int = 0  # of those that passed: drills of a sample, which prove less

    @property
    def proven(self) -> bool:
        """A whole backup was restored, and was right."""
        return self.passed > self.sampled
