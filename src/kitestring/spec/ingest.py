"""How documents become rows: chunking, metadata, the embedding cache, checks after a run."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from kitestring.spec.stores import Store
from kitestring.spec.types import Duration, Model, Name, Quantity, SecretRef, across


class Chunking(Model):
    """How documents become passages. Sizes are in characters."""

    strategy: Literal["fixed", "sentence", "markdown", "semantic", "parent-child"] = Field(
        description="where passages may be cut"
    )
    size: int = Field(ge=32, le=32768, description="the longest passage, in characters")
    overlap: int = Field(0, ge=0, description="characters that a passage repeats of the one before")
    version: int = Field(1, ge=1, description="raise it to have everything chunked again")
    percentile: float | None = Field(
        None,
        gt=0,
        lt=100,
        description="`semantic`: a cut is where the sentences before and after differ more than at "
        "this percentile of a document's gaps; 95 by default",
    )
    window: int | None = Field(
        None, ge=1, le=10, description="`semantic`: sentences compared on each side; 2 by default"
    )
    parent_size: int | None = Field(
        None,
        ge=64,
        le=8192,
        description="`parent-child`: the longest parent; each passage is part of one, and carries "
        "its text",
    )

    @model_validator(mode="after")
    def _together(self) -> Chunking:
        if self.overlap >= self.size:
            raise across("`overlap` must be smaller than `size`")
        if (self.strategy == "parent-child") != (self.parent_size is not None):
            raise across("`parent_size` goes with `strategy: parent-child`")
        if self.parent_size is not None and self.parent_size <= self.size:
            raise across("`parent_size` must be greater than `size`")
        if self.strategy != "semantic" and (self.percentile or self.window):
            raise across("`percentile` and `window` go with `strategy: semantic`")
        return self

    @property
    def label(self) -> str:
        """What a row's `chunker` says: `strategy/size/overlap/version`.

        What else changes passages stands with the strategy: `semantic-p95-w2`,
        `parent-child-2000`.
        """
        strategy: str = self.strategy
        if strategy == "semantic":
            strategy += f"-p{self.gap_percentile:g}-w{self.sentences}"
        elif self.parent_size is not None:
            strategy += f"-{self.parent_size}"
        return f"{strategy}/{self.size}/{self.overlap}/{self.version}"

    @property
    def gap_percentile(self) -> float:
        return self.percentile or 95.0

    @property
    def sentences(self) -> int:
        return self.window or 2


class Metadata(Model):
    """What rows say beside the row contract: into columns of that name, or dynamic fields."""

    constants: dict[Name, str | int | float | bool] = Field(
        {}, description="the same for every document, such as `{source: handbook}`"
    )
    path: str | None = Field(
        None,
        min_length=1,
        description="a regular expression with named groups, for the whole document id: "
        r"`(?P<product>[^/]+)/.*`; a document that does not match has none of its fields",
    )
    front_matter: list[Name] = Field(
        [], description="keys of a Markdown document's front matter, which is no text then"
    )
    title: Name | None = Field(
        None, description="field for the title: front matter, first heading, or the file's name"
    )
    modified: Name | None = Field(
        None, description="field for the file's last change, ms since the epoch"
    )

    @field_validator("path")
    @classmethod
    def _groups(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                named = re.compile(value).groupindex
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from None
            if not named:
                raise ValueError("no named group in it: write `(?P<product>[^/]+)`")
        return value

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that it may fill, in the order of the keys."""
        groups = re.compile(self.path).groupindex if self.path else ()
        single = [name for name in (self.title, self.modified) if name]
        return (*self.constants, *groups, *self.front_matter, *single)


class SqliteCache(Model):
    """A file in the state directory; several processes may share it."""

    type: Literal["sqlite"]
    max_size: Quantity = Field(
        "1Gi", description="of the vectors in it; the longest unused go first"
    )


class RedisCache(Model):
    """A Redis server (the `redis` extra); its own settings bound its size."""

    type: Literal["redis"]
    url: SecretRef = Field(description="where the URL is found, such as redis://host:6379/0")
    keep: Duration = Field(30 * 86400.0, description="how long a vector is kept unused")


EmbeddingCache = Annotated[SqliteCache | RedisCache, Field(discriminator="type")]


class IngestVerify(Model):
    """What is looked at again after each run that wrote something."""

    spot_checks: int = Field(
        16,
        ge=0,
        le=1000,
        description="passages embedded again, compared with their stored vectors and searched for",
    )
    minimum_cosine: float = Field(
        0.99,
        gt=0,
        le=1,
        description="between a stored vector and its text embedded again; lower it for a model "
        "that does not repeat itself as well",
    )


class Ingest(Model):
    """How `kitestring ingest` works."""

    cache: EmbeddingCache | None = Field(
        None, description="of embeddings, by content hash and model; omit for none"
    )
    verify: IngestVerify = Field(IngestVerify(), description="what is checked after a run")
    lease: Store | None = Field(
        None,
        description="where ingesters with different `state` directories see each other: a "
        "directory or bucket that all of them reach; omit where there is one `state`",
    )
