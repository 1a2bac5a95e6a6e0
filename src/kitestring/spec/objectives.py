"""What a cluster is held to."""

from __future__ import annotations

from pydantic import Field

from kitestring.spec.types import Duration, Model


class RecallObjective(Model):
    """Recall of the index against exact search, on the golden queries."""

    k: int = Field(10, ge=1, le=1000, description="answers compared for each query")
    minimum: float = Field(0.95, gt=0, le=1, description="share of them that must be the same")


class Objectives(Model):
    """What a drill and the backup checks hold the cluster to."""

    rpo: Duration = Field(description="the newest verified backup is never older")
    rto: Duration = Field(description="a restore answers its first query within it")
    recall: RecallObjective = Field(
        RecallObjective(), description="what a restored index must answer"
    )
    drill_every: Duration = Field(604800.0, description="the newest passed drill is never older")
