"""What the checks of a canary share: their evidence, and what to say where there is none."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import (
    Pair,
    command,
    pairs,
)
from kitestring.model.canary import CanaryEvidence, Obstacle
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

SIGN_OFF = "embedding.sign-off"
CANARY = "embedding.canary"
REPEATABLE = 1 - 1e-6

Taken = list[tuple[Pair, CanaryEvidence]]


def taken(loaded: LoadedSpec, snapshot: Snapshot) -> Taken:
    """The collections that a canary was asked for and taken of."""
    return [
        (pair, pair.observed.canary)
        for pair in pairs(loaded, snapshot)
        if pair.spec.canary is not None and pair.observed.canary is not None
    ]


def untaken(name: str, loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    for pair in pairs(loaded, snapshot):
        if pair.spec.canary is not None and pair.observed.canary is None:
            nothing = Obstacle("no canary was taken", command(loaded, "embedding check"))
            yield cannot_tell(name, pair, nothing)


def sign_off_command(pair: Pair, *, renew: bool = False) -> str:
    more = ("--renew",) if renew else ()
    return command(pair.loaded, "embedding sign-off", "--collection", pair.spec.name, *more)


def cannot_tell(name: str, pair: Pair, obstacle: Obstacle, hint: str = "") -> Finding:
    return Finding(
        name,
        Severity.WARN,
        pair.subject,
        obstacle.reason,
        expected=f"the vectors of `{pair.spec.model}`",
        observed="unknown",
        hint=obstacle.hint or hint,
        location=pair.locate("canary"),
        inconclusive=True,
    )
