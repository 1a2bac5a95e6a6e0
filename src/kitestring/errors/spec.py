"""What is wrong with a spec, or with the files that are kept beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kitestring.errors.base import KitestringError


class SpecError(KitestringError):
    """The base of everything wrong with a spec file."""

    code = "spec.error"


class SpecNotFound(SpecError):
    """There is no spec file at the path."""

    code = "spec.not-found"


class SpecInvalid(SpecError):
    """The spec has errors; the message lists all of them, and `problems` holds them one by one."""

    code = "spec.invalid"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        subject: str = "",
        problems: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.problems = tuple(problems)

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "problems": [dict(problem) for problem in self.problems]}


class SecretMissing(SpecError):
    """The environment variable or file that a secret reference names is not there."""

    code = "spec.secret-missing"


class RegistryUnreadable(SpecError):
    """The record of which collection and model serve a name is damaged or another cluster's."""

    code = "registry.unreadable"


class NotResolved(KitestringError):
    """Nobody knows which collection or model serves a name."""

    code = "registry.not-resolved"


class ScopeRefused(KitestringError):
    """A question that is not within one tenant: `kitestring.tenancy` makes no filter for it."""

    code, exit_code = "tenancy.scope", 64


class BaselineUnreadable(KitestringError):
    """There is no baseline at the path, or none that can be read."""

    code = "drift.baseline-unreadable"


class BaselineMismatch(KitestringError):
    """The baseline is of another cluster or spec."""

    code = "drift.baseline-mismatch"
