"""What drift runs prove of a collection beyond its definitions, where the spec asks for it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kitestring.spec.types import Model, Name


class RecallProof(Model):
    """Recall of the live index against exact search over every stored vector."""

    queries: Literal["golden", "stored"] = Field(
        "golden",
        description="the golden queries, or stored vectors, chosen by the hash of their keys",
    )
    sample: int = Field(100, ge=10, le=10000, description="stored vectors asked")
    k: int | None = Field(
        None, ge=1, le=1000, description="answers compared; omit for `objectives.recall.k`"
    )
    minimum: float | None = Field(
        None, gt=0, le=1, description="omit for `objectives.recall.minimum`"
    )


class IsolationProof(Model):
    """Tenants are asked for each other's rows, in the way that `tenancy` keeps them apart."""

    tenant: str | None = Field(
        None, min_length=1, description="whose all rows are, with `tenancy: collection` or database"
    )
    tenants: list[str] = Field(
        [], description="tenants beside those that the rows name, of a shared collection"
    )
    canaries: int = Field(
        3, ge=1, le=100, description="rows of each tenant, chosen by the hash of their keys"
    )
    write: bool = Field(
        False, description="write a row for a tenant without any, and delete it afterwards"
    )
    users: list[Name] = Field(
        [], description="users of `access` that must not read what is of another tenant"
    )


class RetrievalProof(Model):
    """Whether the golden queries are answered, with confidence, by documents that are right."""

    minimum: float = Field(
        0.8, gt=0, le=1, description="share of the golden queries with a right, confident answer"
    )
    precision: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="share of the confident best answers that must be right; "
        "`kitestring retrieval calibrate` finds the score for it",
    )
    hybrid: bool = Field(
        False, description="compare with hybrid search: dense and BM25, fused by their ranks"
    )
