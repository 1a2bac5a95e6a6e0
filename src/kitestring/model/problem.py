"""Something that stands against a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitestring.model.finding import Location, Severity


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a preflight found, or could not find out (`inconclusive`)."""

    check: str  # stable, such as `storage-class`
    message: str
    hint: str = ""
    location: Location | None = None
    severity: Severity = Severity.FAIL
    inconclusive: bool = False

    @property
    def text(self) -> str:
        """`FILE:LINE:COLUMN: message`."""
        return f"{self.location}: {self.message}" if self.location else self.message

    def as_dict(self) -> dict[str, Any]:
        place = self.location
        return {
            "check": self.check,
            "severity": self.severity.value,
            "inconclusive": self.inconclusive,
            "message": self.message,
            "hint": self.hint,
            "file": place.file if place else None,
            "line": place.line if place else None,
        }
