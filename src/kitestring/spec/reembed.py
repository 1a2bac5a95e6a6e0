"""What a change of a collection's embedding model is held to."""

from __future__ import annotations

from pydantic import Field

from kitestring.spec.types import Duration, Model


class Reembed(Model):
    """Gates of `kitestring reembed cutover`, and how long the old collection is kept.

    The gates on rows, keys and content are always asked, and take no threshold.
    """

    recall: float = Field(
        0.95, gt=0, le=1, description="least recall@k of the new index against exact search"
    )
    overlap: float | None = Field(
        None,
        ge=0,
        le=1,
        description="least share of exact answers that old and new model have in common; omit to "
        "have it reported only",
    )
    hits_lost: float = Field(
        0.05,
        ge=0,
        le=1,
        description="golden queries (as a share) that may lose their relevant document",
    )
    latency: float = Field(
        2.0, gt=0, description="most that the median search may take, in times of the old one"
    )
    retention: Duration = Field(
        604800.0, description="the old collection is kept so long after the cutover"
    )
