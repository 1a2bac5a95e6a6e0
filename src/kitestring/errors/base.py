"""The base of the exception tree, and what belongs to no room."""

from __future__ import annotations

from typing import Any, ClassVar


class KitestringError(Exception):
    """Something a user can act on. `message` says what happened, `hint` what to do."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", subject: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.subject = subject

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON carries it."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "subject": self.subject,
        }


class Internal(KitestringError):
    """A fault of Kitestring's own, which no user can mend."""

    code = "internal"


class UsageError(KitestringError):
    """Flags or arguments that do not go together."""

    code, exit_code = "usage", 64


class Interrupted(KitestringError):
    """The user asked us to stop."""

    code, exit_code = "interrupted", 130


class MetricsUnreadable(KitestringError):
    """The metrics of a server can't be had, or are none."""

    code = "metrics.unreadable"


class WorkerLost(KitestringError):
    """A process or task that worked on a part of a plan ended before it was done."""

    code = "worker.lost"


class WorkersUnreachable(KitestringError):
    """The cluster that a plan should run on is not there."""

    code = "worker.unreachable"
