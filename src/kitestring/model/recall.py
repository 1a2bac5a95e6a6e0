"""Recall of a live collection, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from kitestring.model.drill import Recall


@dataclass(frozen=True, slots=True)
class LiveRecall:
    """What asking a live collection came to.

    `reason` says why it proves nothing; a recall may be there all the same. `path` says how the
    vectors for the exact search were read: `segments` (the server's own files) or `api`.
    """

    recall: Recall | None = None
    queries: str = ""  # which were asked, in words
    path: str = ""
    rows: int = 0  # scored exactly
    reason: str = ""
    seconds: float = 0.0
    until: int | None = None  # ms since the epoch: later writes are not in the files; None: all are
