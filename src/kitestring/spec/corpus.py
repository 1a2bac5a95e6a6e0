"""Where the documents of a collection are."""

from __future__ import annotations

from pydantic import Field

from kitestring.spec.types import Model


class Corpus(Model):
    """The documents that a tenant's rows are made of, as `kitestring ingest` is given them."""

    path: str = Field(min_length=1, description="a directory, or a file")
    tenant: str = Field("default", min_length=1, description="whose documents they are")
    root: str | None = Field(
        None, min_length=1, description="document ids are relative to it; omit for `path`"
    )
