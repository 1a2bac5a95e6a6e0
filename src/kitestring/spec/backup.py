"""Where backups go, how they are made, sealed and kept, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kitestring.spec.stores import Store
from kitestring.spec.types import URI, Duration, Model, SecretRef, across

Method = Literal["auto", "physical", "logical"]
ReadBack = Literal["all", "new", "keys"]


class AgeEncryption(Model):
    """Each object is encrypted to age recipients before it leaves this machine."""

    type: Literal["age"]
    recipients: list[Annotated[str, Field(pattern=r"^age1[a-z0-9]{10,}$")]] = Field(
        min_length=1, description="public keys; any one of their identities opens a backup"
    )
    identity: SecretRef | None = Field(
        None, description="an identity that opens backups; omit on hosts that only make them"
    )


class KmsEncryption(Model):
    """Each object is encrypted with a data key that a key service wraps."""

    type: Literal["kms"]
    key_id: str = Field(min_length=1, description="id, alias or ARN of the key")
    region: str | None = Field(None, description="such as `eu-central-1`")
    endpoint_url: str | None = Field(None, pattern=URI, description="omit for AWS")


Encryption = Annotated[AgeEncryption | KmsEncryption, Field(discriminator="type")]


class Signing(Model):
    """Manifests and drill records are signed by Ed25519."""

    key: SecretRef | None = Field(
        None, description="private key, PEM; omit on hosts that only read backups"
    )
    trusted: list[str] = Field(
        min_length=1, description="public keys that are believed: PEM files beside the spec"
    )


class Budget(Model):
    """What a backup or restore may take, so that searches do not suffer."""

    max_bytes_per_second: int | None = Field(None, ge=1024, description="omit for no limit")
    max_requests_per_second: float | None = Field(None, gt=0, description="omit for no limit")
    max_search_latency: Duration | None = Field(
        None, description="copying pauses while the proxy's mean search takes longer"
    )


class Retention(Model):
    """Which backups are kept. A backup that any rule keeps is kept."""

    last: int = Field(0, ge=0, description="the newest so many")
    hourly: int = Field(0, ge=0, description="the newest of each of so many hours")
    daily: int = Field(0, ge=0, description="the newest of each of so many days")
    weekly: int = Field(0, ge=0, description="the newest of each of so many ISO weeks")
    monthly: int = Field(0, ge=0, description="the newest of each of so many months")
    minimum: int = Field(1, ge=1, description="never fewer good backups than these")
    grace: Duration = Field(
        86400.0, description="what is marked for removal is removed after this long"
    )
    versions: Literal["keep", "delete"] = Field(
        "keep",
        description="what happens to old versions of deleted objects in a bucket that keeps them: "
        "`keep` leaves them to its lifecycle rule, `delete` removes them after the grace period",
    )

    @model_validator(mode="after")
    def _some(self) -> Retention:
        if not (self.last or self.hourly or self.daily or self.weekly or self.monthly):
            text = "name at least one of `last`, `hourly`, `daily`, `weekly`, `monthly`"
            raise across(text)
        return self


class Backup(Model):
    """Where backups go, how they are made, sealed and kept."""

    store: Store = Field(description="where backups are written")
    method: Method = Field(
        "auto",
        description="`physical` copies the segment files, `logical` writes Parquet; `auto` is "
        "physical where a drill has passed on the server's version, else logical",
    )
    read_back: ReadBack = Field(
        "new",
        description="what a physical backup reads out of its store again before it counts: `all` "
        "objects, those that are `new` in it, or no more than the `keys` of new ones; whatever it "
        "is, the checksum of each object is taken while it is copied",
    )
    encryption: Encryption | None = Field(None, description="omit for none by this tool")
    signing: Signing | None = Field(None, description="omit for unsigned manifests")
    budget: Budget = Field(Budget(), description="limits of copying")
    retention: Retention | None = Field(None, description="omit to keep every backup")
