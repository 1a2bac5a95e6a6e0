"""The canary: stored texts embedded again, to see that the vectors are the model's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kitestring.spec.types import Model


class Canary(Model):
    """How the vectors are checked against the model. See docs/how-to/embedding-checks.md."""

    rows: int = Field(
        300,
        ge=20,
        le=100_000,
        description="stored texts embedded again by each check; twice as many where some differ",
    )
    reference: int = Field(
        1000, ge=20, le=100_000, description="stored texts embedded again by a sign-off"
    )
    vectors: Literal["sample", "all"] = Field(
        "sample",
        description="whose vectors are looked at for NaN, zeros and length: those of the sample, "
        "or of every row",
    )
