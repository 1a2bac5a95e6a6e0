"""What enforcement would do, or did, to bring a cluster back to its spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Action:
    """One idempotent step. `before` and `after` are what an Ansible diff shows."""

    kind: str  # create-index, rebuild-index, load, create-alias, move-alias, compact, …
    subject: str  # cluster/collection[/…]
    reason: str
    before: str
    after: str
    check: str = ""  # the finding's check that calls for it

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "subject": self.subject,
            "reason": self.reason,
            "before": self.before,
            "after": self.after,
            "check": self.check,
        }
