"""Findings that are known and accepted for a while."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, field_validator

from kitestring.spec.types import CHECK_ID, Model


class Suppression(Model):
    """Findings of one check that are shown, and do not count until a day."""

    check: Annotated[str, Field(pattern=CHECK_ID)] = Field(
        description="id of the check, such as `index.drift` (see `kitestring checks list`)"
    )
    subject: str | None = Field(
        None,
        min_length=1,
        description="the finding's subject, such as `prod/docs`, and all below it; "
        "omit for every subject",
    )
    reason: str = Field(description="why this is accepted; every report shows it")
    until: str = Field(description="the last day it is accepted, in UTC: `2027-01-31`")
    inconclusive: bool = Field(
        False, description="accept as well that the check could not tell: it may hide a failure"
    )

    @field_validator("reason")
    @classmethod
    def _some(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("say why this is accepted")
        return value

    @field_validator("until")
    @classmethod
    def _day(cls, value: str) -> str:
        try:
            if date.fromisoformat(value).isoformat() == value:
                return value
        except ValueError:
            pass
        raise ValueError("not a day of the calendar: write it as YYYY-MM-DD, such as 2027-01-31")

    def covers(self, subject: str) -> bool:
        """Whether a finding's subject is the one that is named, or below it."""
        if self.subject is None:
            return True
        wanted = self.subject.rstrip("/")
        return subject == wanted or subject.startswith(f"{wanted}/")
