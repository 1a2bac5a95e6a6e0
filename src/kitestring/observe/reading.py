"""How the rows of a collection are to be read."""

from __future__ import annotations

from dataclasses import dataclass

AUTO, SEGMENTS, API = "auto", "segments", "api"
VIA = (AUTO, SEGMENTS, API)

SMALL = 500_000  # rows that the API gives in some three seconds, as they are now
LARGE = 5_000_000  # rows that are not all asked of the query nodes unless the user says so


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rows are read, and on what.

    `via`: the server's files (`segments`), the API, or `auto`: the files wherever they can be
    reached and are known to hold every write, or the collection is too large to be asked for.
    `on`: see `kitestring.parallel.open_executor`.
    """

    via: str = AUTO
    on: str | None = None
