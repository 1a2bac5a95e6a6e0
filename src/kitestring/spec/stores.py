"""Stores of objects: a directory, a bucket, the data of the embedded server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kitestring.spec.types import BUCKET, PREFIX, REGION, URI, Model, SecretRef, across


class LocalStore(Model):
    """A directory."""

    type: Literal["local"]
    path: str = Field(min_length=1, description="the directory")


class S3Store(Model):
    """A bucket on S3 or a server that speaks its protocol."""

    type: Literal["s3"]
    bucket: str = Field(
        pattern=BUCKET, min_length=3, max_length=63, description="the bucket's name"
    )
    prefix: str = Field("", pattern=PREFIX, description="what every key begins with")
    endpoint_url: str | None = Field(None, pattern=URI, description="omit for AWS")
    region: str | None = Field(None, pattern=REGION, description="such as `eu-central-1`")
    access_key: SecretRef | None = Field(None, description="omit for the default AWS chain")
    secret_key: SecretRef | None = Field(None, description="goes with `access_key`")
    encryption: Literal["AES256", "aws:kms"] | None = Field(
        None, description="server-side encryption asked for with every object written"
    )
    kms_key_id: str | None = Field(None, description="the key for `encryption: aws:kms`")
    versioning: bool = Field(False, description="the bucket must keep versions; checked")
    object_lock: bool = Field(False, description="the bucket must have object lock; checked")

    @model_validator(mode="after")
    def _together(self) -> S3Store:
        if (self.access_key is None) != (self.secret_key is None):
            raise across("`access_key` and `secret_key` go together")
        if self.kms_key_id is not None and self.encryption != "aws:kms":
            raise across("`kms_key_id` needs `encryption: aws:kms`")
        return self


class EmbeddedStorage(Model):
    """The data directory of the embedded server named in `connection`."""

    type: Literal["embedded"]


Store = Annotated[LocalStore | S3Store, Field(discriminator="type")]
SegmentStore = Annotated[LocalStore | S3Store | EmbeddedStorage, Field(discriminator="type")]
