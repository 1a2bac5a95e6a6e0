"""What asking as each tenant for the others' rows came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kitestring.model.tally import NOTHING, Tally


@dataclass(frozen=True, slots=True)
class Leak:
    """Rows of `owner` that came when `asker` asked."""

    asker: str
    owner: str
    way: str  # in words: `a search`, `a query`, …
    rows: Tally


@dataclass(frozen=True, slots=True)
class Opened:
    """A user of one tenant who could read what is another's."""

    user: str
    what: str  # `collection docs_b`, `database b, collection docs`
    owner: str = ""


@dataclass(frozen=True, slots=True)
class IsolationSeen:
    """`reason` says why what was not found proves nothing; empty where all questions were asked."""

    tenants: Mapping[str, int] = field(default_factory=dict)  # tenant -> rows
    canaries: int = 0
    written: int = 0  # of them
    questions: int = 0  # that were asked
    leaks: tuple[Leak, ...] = ()
    ownerless: Tally = NOTHING  # rows of no tenant
    opened: tuple[Opened, ...] = ()
    refused: int = 0  # attempts by users of a tenant that the server refused
    reason: str = ""
    access_reason: str = ""
    until: int | None = None  # ms since the epoch: later writes are not in the files; None: all are
